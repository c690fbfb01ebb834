// SPDX-License-Identifier: Apache-2.0

// Package licenses collects the licences of the modules in binaries. The Go linker records these modules in each
// binary.
//
// Source: debug/buildinfo; section 4 of the Apache License 2.0, which also requires NOTICE files.
package licenses

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"calico-cni/hack/release/archive"
)

// ErrMissing says that a linked module has no licence in its root directory.
var ErrMissing = errors.New("module without a licence")

// license matches the names of files that must accompany copies of a module.
var license = regexp.MustCompile(`(?i)^(licen[cs]e|unlicense|copying|copyright|notice|patents)([._-].*)?$`)

// module is a linked module.
type module struct{ path, version string }

// Of returns the licence files of all modules in binaries, and of the standard library as "std", in directories
// MODULE@VERSION below prefix. It runs go, which has the modules in its cache after a build. An error wraps ErrMissing
// if a module has no licence.
func Of(ctx context.Context, binaries []string, prefix string) ([]archive.File, error) {
	var modules []module
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			return nil, fmt.Errorf("read the modules of %s: %w", filepath.Base(binary), err)
		}
		modules = append(modules, module{"std", strings.Fields(info.GoVersion)[0]})
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			modules = append(modules, module{m.Path, m.Version})
		}
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.name(), b.name()) })
	modules = slices.Compact(modules)
	dirs, err := directories(ctx, modules)
	if err != nil {
		return nil, err
	}
	var files []archive.File
	for _, m := range modules {
		found, err := below(dirs[m], m.path == "std")
		if err != nil {
			return nil, fmt.Errorf("collect licences of %s: %w", m.name(), err)
		}
		for _, f := range found {
			files = append(files, archive.File{Name: path.Join(prefix, m.name(), f.Name), Data: f.Data})
		}
	}
	return files, nil
}

// OfDir returns the project's own licence as LICENSE, and those of all modules in the binaries of a directory, below
// prefix.
func OfDir(ctx context.Context, sources, dir, prefix string) ([]archive.File, error) {
	own, err := os.ReadFile(filepath.Join(sources, "LICENSE"))
	if err != nil {
		return nil, fmt.Errorf("read the project's licence: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list binaries: %w", err)
	}
	var binaries []string
	for _, e := range entries {
		binaries = append(binaries, filepath.Join(dir, e.Name()))
	}
	files, err := Of(ctx, binaries, path.Join(prefix, "third_party"))
	return append(files, archive.File{Name: path.Join(prefix, "LICENSE"), Data: own}), err
}

func (m module) name() string { return m.path + "@" + m.version }

// directories returns the directory of each module on this machine.
func directories(ctx context.Context, modules []module) (map[module]string, error) {
	dirs, args := map[module]string{}, []string{"mod", "download", "-json"}
	for _, m := range modules {
		if m.path != "std" {
			args = append(args, m.name())
			continue
		}
		root, err := run(ctx, "env", "GOROOT")
		if err != nil {
			return nil, err
		}
		dirs[m] = strings.TrimSpace(string(root))
	}
	if len(args) == 3 {
		return dirs, nil
	}
	out, err := run(ctx, args...)
	if err != nil {
		return nil, err
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var found struct{ Path, Version, Dir string }
		err := d.Decode(&found)
		if errors.Is(err, io.EOF) {
			return dirs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("find modules: %w", err)
		}
		dirs[module{found.Path, found.Version}] = found.Dir
	}
}

// below returns the licences in a module's directory and, unless rootOnly, in its subdirectories, which may contain
// third-party code.
func below(dir string, rootOnly bool) ([]archive.File, error) {
	var files []archive.File
	root := false
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != dir && (rootOnly || entry.Name() == "testdata"):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || !license.MatchString(entry.Name()) || filepath.Ext(entry.Name()) == ".go":
			return nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		root = root || filepath.Dir(name) == "."
		files = append(files, archive.File{Name: filepath.ToSlash(name), Data: data})
		return err
	})
	if err == nil && !root {
		err = fmt.Errorf("%w: %s has none of LICENSE, COPYING and the like", ErrMissing, dir)
	}
	return files, err
}

// run runs go outside of any module, so that no module's requirements affect the versions.
func run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = os.TempDir(), append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("run go %s: %w: %s%s", strings.Join(args[:2], " "), err, failed.Stderr, out)
	}
	return out, err
}
