// SPDX-License-Identifier: Apache-2.0

// Package guard checks the limits of the binaries: size, work at start-up, and linked packages.
package guard

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calico-cni/test/node"
)

// forbiddenInPlugins are packages that a plugin must not link, directly or indirectly. A plugin starts for every pod,
// and these packages would cost more than its own work. A path that ends in "/..." includes all packages below it.
var forbiddenInPlugins = []string{
	"k8s.io/...", "sigs.k8s.io/controller-runtime/...", "sigs.k8s.io/structured-merge-diff/...",
	"github.com/prometheus/...", "github.com/json-iterator/go", "github.com/sirupsen/logrus",
	"github.com/google/gnostic-models/...", "github.com/spf13/cobra", "github.com/containernetworking/cni/libcni",
	"github.com/fsnotify/fsnotify", "golang.org/x/net/...", "net/http/pprof", "testing", "calico-cni/pkg/install/...",
	"calico-cni/pkg/kubeapi/clientgo",
	"calico-cni/pkg/apis/bgp", "calico-cni/pkg/apis/controllers", "calico-cni/pkg/apis/felix",
	"calico-cni/pkg/apis/nodestatus", "calico-cni/pkg/apis/policy",
}

// forbiddenInInstall are packages that install may not link. It starts once per node and may use client-go, but not the
// clientset and what is built on it, which doubles its size: see docs/decisions/0046-client-go-in-install.md.
var forbiddenInInstall = []string{
	"k8s.io/client-go/kubernetes/...", "k8s.io/client-go/informers/...", "k8s.io/apiextensions-apiserver/...",
	"sigs.k8s.io/controller-runtime/...", "github.com/sirupsen/logrus", "github.com/spf13/cobra", "net/http/pprof",
	"testing",
}

// bounds has the limits of each binary: the size in bytes, stripped, and the number of packages that do work at
// start-up (0 means no limit).
var bounds = map[string]struct {
	size, inits int
	forbidden   []string
}{
	"calico":      {10_200_000, 110, forbiddenInPlugins},
	"calico-ipam": {9_300_000, 100, append([]string{"github.com/vishvananda/netlink"}, forbiddenInPlugins...)},
	"install":     {16_000_000, 0, forbiddenInInstall},
}

func TestBinarySizesAndInits(t *testing.T) {
	dir := t.TempDir()
	if err := node.Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for name, bound := range bounds {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			inits := initialised(t, path)
			t.Logf("%s: %d bytes, %d packages initialised", name, info.Size(), inits)
			if int(info.Size()) > bound.size {
				t.Errorf("%d bytes, more than %d", info.Size(), bound.size)
			}
			if bound.inits > 0 && (inits > bound.inits || inits == 0) {
				t.Errorf("%d packages are initialised, want 1 to %d", inits, bound.inits)
			}
			out, err := exec.Command("file", path).CombinedOutput()
			if err == nil && !strings.Contains(string(out), "statically linked") {
				t.Errorf("not static: %s", out)
			}
		})
	}
}

// initialised counts the packages that do work at start-up.
func initialised(t *testing.T, path string) int {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = []string{"CNI_COMMAND=VERSION", "GODEBUG=inittrace=1", "KUBECONFIG=/nowhere"}
	out, _ := cmd.CombinedOutput()
	return strings.Count("\n"+string(out), "\ninit ")
}

// TestBinariesLinkNoForbiddenPackage checks all packages of each binary, not only direct imports.
func TestBinariesLinkNoForbiddenPackage(t *testing.T) {
	for name, bound := range bounds {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("go", "list", "-deps", "./cmd/"+name)
			// The main module has the checksums of all dependencies of the binaries. This module may lack some.
			cmd.Dir = filepath.Join("..", "..")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			deps := strings.Fields(string(out))
			if !slices.Contains(deps, "calico-cni/internal/buildinfo") {
				t.Fatalf("not a list of dependencies: %.200s", out)
			}
			for _, pattern := range bound.forbidden {
				for _, dep := range deps {
					if matches(dep, pattern) {
						t.Errorf("%s links %s, which %s forbids: see .golangci.yaml", name, dep, pattern)
					}
				}
			}
		})
	}
}

// matches reports whether a package is the one of a pattern, or is below it if the pattern ends in "/...".
func matches(path, pattern string) bool {
	prefix, all := strings.CutSuffix(pattern, "...")
	return path == pattern || all && strings.HasPrefix(path+"/", prefix)
}
