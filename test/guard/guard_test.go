// SPDX-License-Identifier: Apache-2.0

// Package guard fails when a binary grows beyond what is paid for it on every pod.
package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"calico-cni/test/node"
)

// forbidden are imports that cost a plugin more in start-up and memory than all it does. A path ending in "/..." stands
// for everything beneath.
var forbidden = []string{
	"k8s.io/...", "sigs.k8s.io/controller-runtime/...", "sigs.k8s.io/structured-merge-diff/...", "github.com/prometheus/...",
	"github.com/json-iterator/go", "github.com/sirupsen/logrus", "github.com/google/gnostic-models/...", "github.com/spf13/cobra",
	"github.com/containernetworking/cni/libcni", "github.com/fsnotify/fsnotify", "golang.org/x/net/...", "net/http/pprof", "testing",
}

// bounds of each binary: its size in bytes, stripped; how many packages do work when it starts.
var bounds = map[string]struct {
	size, inits int
	forbidden   []string
}{
	"calico":      {10_000_000, 110, forbidden},
	"calico-ipam": {9_000_000, 100, append([]string{"github.com/vishvananda/netlink"}, forbidden...)},
	"install":     {9_500_000, 0, []string{"k8s.io/...", "sigs.k8s.io/controller-runtime/...", "github.com/prometheus/...", "testing"}},
}

func TestBinariesStayWithinTheirBounds(t *testing.T) {
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
			if out, err := exec.Command("file", path).CombinedOutput(); err == nil && !strings.Contains(string(out), "statically linked") {
				t.Errorf("not static: %s", out)
			}
		})
	}
}

// initialised counts the packages whose initialisation does any work.
func initialised(t *testing.T, path string) int {
	t.Helper()
	cmd := exec.Command(path)
	cmd.Env = []string{"CNI_COMMAND=VERSION", "GODEBUG=inittrace=1", "KUBECONFIG=/nowhere"}
	out, _ := cmd.CombinedOutput()
	return strings.Count("\n"+string(out), "\ninit ")
}

func TestBinariesLinkNothingForbidden(t *testing.T) {
	for name, bound := range bounds {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("go", "list", "-deps", "./cmd/"+name)
			// The module of the binaries has the sums of all that they need; this one, of what its tests import.
			cmd.Dir = filepath.Join("..", "..")
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			deps := strings.Fields(string(out))
			if !slices.Contains(deps, "calico-cni/internal/buildinfo") {
				t.Fatalf("this is no list of dependencies: %.200s", out)
			}
			for _, pattern := range bound.forbidden {
				for _, dep := range deps {
					beneath, all := strings.CutSuffix(pattern, "...")
					if dep == pattern || all && strings.HasPrefix(dep+"/", beneath) {
						t.Error(fmt.Sprintf("links %s: ", dep) + "too heavy for a binary that is started for every pod")
					}
				}
			}
		})
	}
}
