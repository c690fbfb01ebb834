// SPDX-License-Identifier: Apache-2.0

package hostfile

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestDescribe(t *testing.T) {
	const list = `{"name": "net", "cniVersion": "1.0.0", "plugins": [
		{"type": "calico", "token": "secret", "ipam": {"type": "calico-ipam"}}, {"type": "portmap"}]}`
	for _, tt := range []struct{ name, text, want string }{
		{"a.conflist", list, `, network "net" of plugins calico, calico-ipam, portmap`},
		{"a.conf", `{"name": "net", "type": "bridge", "token": "secret"}`, `, network "net" of plugins bridge`},
		{"a.conflist", `{"secret": `, ", not a network configuration"},
		{"a.conflist", "", ", not a network configuration"},
		{"a.txt", list, ""},
		{"a.conflist", strings.Repeat(" ", maxList) + list, ""},
	} {
		path := filepath.Join(t.TempDir(), tt.name)
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := Describe(path)
		_, plugins, _ := strings.Cut(got, "Z")
		if !strings.HasPrefix(got, "-rw-------, ") || plugins != tt.want || strings.Contains(got, "secret") {
			t.Errorf("%s with %.40s: %q, want %q", tt.name, tt.text, got, tt.want)
		}
		if diff := Difference(path); !strings.HasPrefix(diff, path+" differs from the desired state: -rw") {
			t.Errorf("Difference = %q", diff)
		}
	}
	for kind, want := range map[string]string{"nothing": "missing", "FIFO": "prw-------, ", "directory": "drwx"} {
		path := put(t, kind)
		config := path + ".conflist"
		if err := os.Rename(path, config); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if got := Describe(config); !strings.HasPrefix(got, want) || strings.Contains(got, "network") {
			t.Errorf("%s: %q", kind, got)
		}
	}
	if got := Difference(put(t, "nothing")); !strings.HasSuffix(got, " is missing") {
		t.Errorf("Difference of nothing = %q", got)
	}
}

func TestPluginTypes(t *testing.T) {
	for kind := range place {
		if name, types := PluginTypes(put(t, kind)); name != "" || types != nil {
			t.Errorf("%s: %q, %v", kind, name, types)
		}
	}
}

func TestIsNetworkConfig(t *testing.T) {
	names := []string{"a.conf", "a.conflist", "a.json", ".a.conf", "a.conf.bak", "a", "a.yaml", "conf"}
	got := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !IsNetworkConfig(name) })
	if want := names[:4]; !slices.Equal(got, want) {
		t.Errorf("configurations are %v, want %v", got, want)
	}
}
