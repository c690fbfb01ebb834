// SPDX-License-Identifier: Apache-2.0

// Package chart renders the project's Helm chart with Helm's engine, like `helm template` and `helm install`.
package chart

import (
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1/util"
)

// Namespace is the namespace of the rendered objects.
const Namespace = "kube-system"

// Render renders the chart in a directory to YAML documents, in the order in which Helm installs them, without the
// CustomResourceDefinitions. values override the defaults. If they violate the schema, the error names the value.
func Render(dir string, values map[string]any) (string, error) {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return "", fmt.Errorf("load chart: %w", err)
	}
	options := common.ReleaseOptions{Name: "calico-cni", Namespace: Namespace, Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(c, values, options, nil)
	if err != nil {
		return "", fmt.Errorf("check values: %w", err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", fmt.Errorf("render chart: %w", err)
	}
	for name := range files {
		if strings.HasSuffix(name, "/NOTES.txt") {
			delete(files, name)
		}
	}
	hooks, objects, err := release.SortManifests(files, nil, release.InstallOrder)
	if err != nil {
		return "", fmt.Errorf("sort objects: %w", err)
	}
	if len(hooks) > 0 {
		return "", fmt.Errorf("sort objects: %s is a hook, which a manifest cannot contain", hooks[0].Path)
	}
	var documents []string
	for _, o := range objects {
		documents = append(documents, document(o.Content))
	}
	return strings.Join(documents, ""), nil
}

// CRDs returns the chart's CustomResourceDefinitions as YAML documents, ordered by file name. Helm installs them before
// all other objects, and never changes or deletes them.
func CRDs(dir string) (string, error) {
	c, err := loader.LoadDir(dir)
	if err != nil {
		return "", fmt.Errorf("load chart: %w", err)
	}
	var documents []string
	for _, crd := range c.CRDObjects() {
		documents = append(documents, document(string(crd.File.Data)))
	}
	return strings.Join(documents, ""), nil
}

// document adds the document separator to a YAML text, if it is missing.
func document(text string) string {
	return "---\n" + strings.TrimPrefix(strings.TrimSpace(text), "---\n") + "\n"
}
