// SPDX-License-Identifier: Apache-2.0

package endpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFromPod(t *testing.T) {
	for _, c := range []struct {
		podIP, podIPs, want string
	}{
		{"10.0.0.1/32", "10.0.0.1/32,fd00::1/128", "[10.0.0.1 fd00::1]"},
		{"", "fd00::1/128, 10.0.0.1", "[10.0.0.1 fd00::1]"},
		{"10.0.0.1/32", "", "[10.0.0.1]"},
		{"::ffff:10.0.0.1", "", "[10.0.0.1]"},
		{"no address", "", ""},
		{"", "", ""},
	} {
		e, ok := FromPod("default", "web", map[string]string{podIP: c.podIP, podIPs: c.podIPs})
		if got := fmt.Sprint(e.Addrs); ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q, %q: %s, %v, want %s", c.podIP, c.podIPs, got, ok, c.want)
		}
	}
}

func TestStatusFile(t *testing.T) {
	e, _ := FromPod("default", "web", map[string]string{podIPs: "10.0.0.1,fd00::1"})
	name, content := e.StatusFile("cali")
	if name != "k8s default%2Fweb eth0" {
		t.Errorf("name is %q", name)
	}
	want := `{"ifaceName":"` + e.HostIfName("cali") + `","ipv4Nets":["10.0.0.1/32"],"ipv6Nets":["fd00::1/128"]}`
	if string(content) != want {
		t.Errorf("content is %s, want %s", content, want)
	}
}

func TestFilesApply(t *testing.T) {
	f := Files{Dir: filepath.Join(t.TempDir(), "run", "endpoint-status")}
	apply := func(wanted map[string][]byte, writes int, want map[string]string) {
		t.Helper()
		n, err := f.Apply(wanted)
		if err != nil || n != writes {
			t.Errorf("%d writes, want %d; error %v", n, writes, err)
		}
		got := map[string]string{}
		entries, err := os.ReadDir(f.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			data, err := os.ReadFile(filepath.Join(f.Dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			got[e.Name()] = string(data)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	a := map[string][]byte{"k8s a": []byte("1"), "k8s b": []byte("2")}
	apply(a, 2, map[string]string{"k8s a": "1", "k8s b": "2"})
	apply(a, 0, map[string]string{"k8s a": "1", "k8s b": "2"})
	if err := os.WriteFile(filepath.Join(f.Dir, "foreign"), []byte("3"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The content drifted.
	if err := os.WriteFile(filepath.Join(f.Dir, "k8s a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	apply(map[string][]byte{"k8s a": []byte("1")}, 2, map[string]string{"k8s a": "1", "foreign": "3"})
	apply(nil, 1, map[string]string{"foreign": "3"})
}

func TestFilesApplyContinuesAfterAnError(t *testing.T) {
	f := Files{Dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(f.Dir, "k8s a", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := f.Apply(map[string][]byte{"k8s a": []byte("1"), "k8s b": []byte("2")})
	if n != 1 || err == nil {
		t.Errorf("%d writes, error %v", n, err)
	}
}
