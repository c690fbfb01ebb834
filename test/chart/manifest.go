package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
)

// head is how a manifest begins. %s is its path beneath deploy.
const head = `# %s: all that a cluster needs, for kubectl apply -f. See docs/deploy.md.
# Rendered from deploy/chart by make generate; changes belong there.
# Do not kubectl delete -f it: with the CustomResourceDefinitions every pool and every allocation would go.
`

// Manifests returns the manifests of a directory deploy by their paths in it: calico-cni.yaml with the chart's own values,
// and for each profiles/NAME.values.yaml profiles/NAME.yaml.
func Manifests(deploy string) (map[string]string, error) {
	profiles, err := filepath.Glob(filepath.Join(deploy, "profiles", "*.values.yaml"))
	if err != nil {
		return nil, fmt.Errorf("list profiles: %w", err)
	}
	values := map[string]string{"calico-cni.yaml": ""}
	for _, file := range profiles {
		name := strings.TrimSuffix(filepath.Base(file), ".values.yaml")
		values[filepath.Join("profiles", name+".yaml")] = file
	}
	manifests := map[string]string{}
	for path, file := range values {
		if manifests[path], err = manifest(deploy, path, file); err != nil {
			return nil, fmt.Errorf("render %s: %w", path, err)
		}
	}
	return manifests, nil
}

// manifest renders the chart with a file of values, which may be empty.
func manifest(deploy, path, file string) (string, error) {
	var values map[string]any
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		if values, err = common.ReadValues(data); err != nil {
			return "", fmt.Errorf("parse values: %w", err)
		}
	}
	text, err := Render(filepath.Join(deploy, "chart"), values)
	return fmt.Sprintf(head, path) + text, err
}
