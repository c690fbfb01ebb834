// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNodeName(t *testing.T) {
	for _, tt := range []struct{ nodename, file, hostname, host, want string }{
		{"A", "b", "c", "d", "a"},
		{" ", " B.example\n", "c", "d", "b.example"},
		{"", "", "c", "d", "c"},
		{"", "\n", "", "Worker-1", "worker-1"},
		{"", "", "", "", ""},
		{"a/b", "b", "c", "d", ""},
		{"../x", "", "", "", ""},
	} {
		got, err := NodeName(map[string]string{"NODENAME": tt.nodename, "HOSTNAME": tt.hostname}, tt.file, tt.host)
		if got != tt.want || (err == nil) == (tt.want == "") {
			t.Errorf("%+v: got %q, %v", tt, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "set NODENAME") {
			t.Errorf("no remedy: %v", err)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "calico")
	name, mtu := filepath.Join(dir, "nodename"), filepath.Join(dir, "mtu")
	for range 2 {
		if err := WriteNodeName(name, "n1"); err != nil {
			t.Fatal(err)
		}
		if err := WriteMTU(mtu, 1450); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{name: "n1", mtu: "1450"} {
		got, err := os.ReadFile(path)
		info, errStat := os.Stat(path)
		if err != nil || errStat != nil || string(got) != want || info.Mode() != 0o644 {
			t.Errorf("%s: %q, %v, %v", path, got, info.Mode(), err)
		}
	}
	if err := WriteMTU(filepath.Join(name, "mtu"), 1450); err == nil || !strings.Contains(err.Error(), "mount the directory") {
		t.Errorf("below a file: %v", err)
	}
}
