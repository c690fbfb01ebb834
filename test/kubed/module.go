// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// moduleName is the module that Path builds.
const moduleName = "calico-cni/test/kube"

// ErrNoModule reports that neither the working directory nor its parents contain the module of kubed.
var ErrNoModule = errors.New("no directory kube or test/kube with module " + moduleName +
	" in the working directory or above: run this inside a checkout")

// kubernetesLine matches the version of Kubernetes in a go.mod.
var kubernetesLine = regexp.MustCompile(`(?m)^(?:require)?\s*k8s\.io/kubernetes (v1\.(\d+)\.\S+)`)

// findModule returns the directory of the module of kubed in start or in a parent directory.
func findModule(start string) (string, error) {
	for dir := start; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{"kube", filepath.Join("test", "kube")} {
			data, err := os.ReadFile(filepath.Join(dir, candidate, "go.mod"))
			if err == nil && strings.Contains(string(data), "\nmodule "+moduleName+"\n") {
				return filepath.Join(dir, candidate), nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", ErrNoModule
		}
	}
}

// versionFlags returns the linker flags with the version of Kubernetes. Without them `kubectl version` and the checks
// of version skew see v0.0.0.
func versionFlags(module string) (string, error) {
	data, err := os.ReadFile(filepath.Join(module, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read version of Kubernetes: %w", err)
	}
	match := kubernetesLine.FindStringSubmatch(string(data))
	if match == nil {
		return "", fmt.Errorf("read version of Kubernetes: %s/go.mod does not require k8s.io/kubernetes: "+
			"write it with gen-gomod.sh", module)
	}
	const pkg = "k8s.io/component-base/version"
	var flags strings.Builder
	for _, v := range [][2]string{
		{"gitVersion", match[1]},
		{"gitMajor", "1"},
		{"gitMinor", match[2]},
		{"gitTreeState", "clean"},
		{"gitCommit", match[1]},
		{"buildDate", "1970-01-01T00:00:00Z"},
	} {
		fmt.Fprintf(&flags, " -X %s.%s=%s", pkg, v[0], v[1])
	}
	return flags.String(), nil
}
