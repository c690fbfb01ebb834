// SPDX-License-Identifier: Apache-2.0

package kubed

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStateFollowsOutputOfGoCommand(t *testing.T) {
	now := time.Unix(0, 0)
	s := state{start: now, phase: "listing packages to compile"}
	var got []string
	show := func() { got = append(got, s.text(now)) }
	line := func(text string) {
		mark := "- "
		if s.line(text) {
			mark = "+ "
		}
		got = append(got, mark+text)
	}
	show()
	line("go: downloading k8s.io/api v0.36.3")
	line("go: downloading k8s.io/client-go v0.36.3")
	show()
	s.expect([]string{"a", "b/c", "d"})
	now = now.Add(61 * time.Second)
	show()
	line("a")
	line("# b/c")
	line("b/c")
	line("b/c")
	line("b/c/x.go:1:2: undefined: y")
	show()
	line("d")
	show()
	want := []string{
		"kubed: listing packages to compile, 0s",
		"+ go: downloading k8s.io/api v0.36.3",
		"+ go: downloading k8s.io/client-go v0.36.3",
		"kubed: downloading modules, 2 so far, 0s",
		"kubed: compiling, 0 of 3 packages, 1m1s",
		"+ a",
		"- # b/c",
		"+ b/c",
		"- b/c",
		"- b/c/x.go:1:2: undefined: y",
		"kubed: compiling, 2 of 3 packages, 1m1s",
		"+ d",
		"kubed: linking, 1m1s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStateWithoutPackagesIsLinking(t *testing.T) {
	var s state
	s.expect(nil)
	if s.phase != "linking" {
		t.Errorf("phase is %q, want linking", s.phase)
	}
}

func TestModuleIsFoundFromSubdirectories(t *testing.T) {
	root := t.TempDir()
	module := filepath.Join(root, "test", "kube")
	deep := filepath.Join(root, "test", "e2e", "deep")
	for _, dir := range []string{module, deep} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	goMod := "// Kubernetes.\nmodule calico-cni/test/kube\n\n" +
		"require (\n\tk8s.io/api v0.36.3\n\tk8s.io/kubernetes v1.36.3\n)\n"
	if err := os.WriteFile(filepath.Join(module, "go.mod"), []byte(goMod), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{root, filepath.Join(root, "test"), deep} {
		if got, err := findModule(start); got != module || err != nil {
			t.Errorf("from %s: %s, %v; want %s", start, got, err, module)
		}
	}
	if got, err := findModule(t.TempDir()); !errors.Is(err, ErrNoModule) {
		t.Errorf("outside of a checkout: %s, %v; want %v", got, err, ErrNoModule)
	}
	flags, err := versionFlags(module)
	if err != nil || !strings.Contains(flags, ".gitVersion=v1.36.3 ") || !strings.Contains(flags, ".gitMinor=36 ") {
		t.Errorf("flags are %q, %v; want version 1.36.3", flags, err)
	}
}
