// Package chart renders the project's Helm chart with Helm's own engine, as `helm template` and `helm install` do.
package chart

import (
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1/util"
)

// Namespace is where the chart is rendered for.
const Namespace = "kube-system"

// Render returns the chart in a directory as one text of YAML documents: the CustomResourceDefinitions, then all other
// objects in the order in which Helm installs them. values override the chart's own; an error of those names what the
// schema does not allow.
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
		return "", fmt.Errorf("sort objects: %s is a hook, which a manifest cannot have", hooks[0].Path)
	}
	documents := crds(c)
	for _, o := range objects {
		documents = append(documents, document(o.Content))
	}
	return strings.Join(documents, ""), nil
}

// crds are the chart's CustomResourceDefinitions, in the order of the files' names.
func crds(c *chartv2.Chart) []string {
	var documents []string
	for _, crd := range c.CRDObjects() {
		documents = append(documents, document(string(crd.File.Data)))
	}
	return documents
}

// document makes a YAML document of a text that may already be one.
func document(text string) string {
	return "---\n" + strings.TrimPrefix(strings.TrimSpace(text), "---\n") + "\n"
}
