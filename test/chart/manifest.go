// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
)

// crdsPath is the manifest of the CustomResourceDefinitions, which all profiles share. crdsV1Path is that of the API
// group crd.projectcalico.org, with all kinds.
const (
	crdsPath   = "calico-cni-crds.yaml"
	crdsV1Path = "calico-cni-crds-v1.yaml"
)

// head is the beginning of a manifest. %s is its path below deploy.
const head = `# %s: installs the plugins on every node. Apply calico-cni-crds.yaml first, then this file. See docs/deploy.md.
# Generated from deploy/chart by make generate. Change the chart, not this file.
# kubectl delete -f with this file keeps all pools and allocations.
`

// headOfCRDs is the beginning of the manifest of the CustomResourceDefinitions.
const headOfCRDs = `# calico-cni-crds.yaml: the CustomResourceDefinitions. Apply it with kubectl apply --server-side -f. See docs/deploy.md.
# Generated from deploy/chart/crds by make generate.
# Never run kubectl delete -f with this file: that deletes every pool and every allocation of the cluster.
`

// headOfCRDsV1 is the beginning of the manifest of the other API group.
const headOfCRDsV1 = `# calico-cni-crds-v1.yaml: the CustomResourceDefinitions of crd.projectcalico.org/v1, for clusters with Calico's older objects.
# Apply it with kubectl apply --server-side -f in place of calico-cni-crds.yaml.
# Generated from deploy/crds/v1 by make generate.
# Never run kubectl delete -f with this file: that deletes every pool and every allocation of the cluster.
`

// Manifests returns the manifests of a directory deploy by their relative paths: calico-cni-crds.yaml,
// calico-cni-crds-v1.yaml, calico-cni.yaml with the default values, and profiles/NAME.yaml for each
// profiles/NAME.values.yaml.
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
	crds, err := CRDs(filepath.Join(deploy, "chart"))
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", crdsPath, err)
	}
	crdsV1, err := concatenated(filepath.Join(deploy, "crds", "v1"))
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", crdsV1Path, err)
	}
	manifests := map[string]string{crdsPath: headOfCRDs + crds, crdsV1Path: headOfCRDsV1 + crdsV1}
	for path, file := range values {
		if manifests[path], err = manifest(deploy, path, file); err != nil {
			return nil, fmt.Errorf("render %s: %w", path, err)
		}
	}
	return manifests, nil
}

// concatenated returns the YAML files of a directory as one text of YAML documents, in the order of their names.
func concatenated(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text.WriteString(document(string(data)))
	}
	return text.String(), nil
}

// manifest renders the chart with a file of values. Without a file it uses the default values.
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
