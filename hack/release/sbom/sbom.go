// SPDX-License-Identifier: Apache-2.0

// Package sbom writes a software bill of materials of binaries, as CycloneDX 1.6 in JSON. It reads all information from
// the binaries, in which the Go linker records the modules.
//
// Source: the CycloneDX specification 1.6; the package URL specification, type golang; debug/buildinfo.
package sbom

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

type bom struct {
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version"`
	Hashes     []hash     `json:"hashes,omitempty"`
	PURL       string     `json:"purl,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// product is the name of the product in the document.
const product = "calico-cni"

// Of returns the document of a release: the binaries with their SHA-256, their modules, and the dependencies between
// both. date is the date of the release.
func Of(binaries []string, version string, date time.Time) ([]byte, error) {
	whole := component{Type: "application", Ref: product, Name: product, Version: version}
	b := bom{
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{Timestamp: date.UTC().Format(time.RFC3339), Component: whole},
	}
	modules, top := map[string]component{}, dependency{Ref: product}
	for _, path := range slices.Sorted(slices.Values(binaries)) {
		c, used, err := read(path, version)
		if err != nil {
			return nil, fmt.Errorf("read the modules of %s: %w", filepath.Base(path), err)
		}
		own := dependency{Ref: c.Ref}
		for _, m := range used {
			modules[m.Ref] = m
			own.DependsOn = append(own.DependsOn, m.Ref)
		}
		slices.Sort(own.DependsOn)
		top.DependsOn = append(top.DependsOn, c.Ref)
		b.Components, b.Dependencies = append(b.Components, c), append(b.Dependencies, own)
	}
	b.Dependencies = append([]dependency{top}, b.Dependencies...)
	for _, ref := range slices.Sorted(maps.Keys(modules)) {
		b.Components = append(b.Components, modules[ref])
	}
	data, err := json.MarshalIndent(b, "", "  ")
	return append(data, '\n'), err
}

// read returns a binary and its modules, including the standard library.
func read(path, version string) (component, []component, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return component{}, nil, err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return component{}, nil, err
	}
	sum, name := sha256.Sum256(data), filepath.Base(path)
	binary := component{
		Type: "application", Ref: product + "/" + name, Name: name, Version: version,
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
	}
	for _, s := range info.Settings {
		if s.Key == "GOOS" || s.Key == "GOARCH" {
			binary.Properties = append(binary.Properties, property{"go:" + s.Key, s.Value})
		}
	}
	modules := []component{library("std", strings.TrimPrefix(info.GoVersion, "go"), "")}
	for _, m := range info.Deps {
		m = replaced(m)
		modules = append(modules, library(m.Path, m.Version, m.Sum))
	}
	return binary, modules, nil
}

func replaced(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// library returns the component of a module. sum is its hash in go.sum.
func library(path, version, sum string) component {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	purl := "pkg:golang/" + strings.Join(segments, "/") + "@" + url.QueryEscape(version)
	c := component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
	if sum != "" {
		c.Properties = []property{{"go:sum", sum}}
	}
	return c
}
