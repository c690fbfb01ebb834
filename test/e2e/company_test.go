package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"calico-cni/test/sandbox"
)

func TestHostLocalOutsideKubernetesTakesNoAPIServer(t *testing.T) {
	installed(t)
	data, err := os.ReadFile(filepath.Join(n.Tools, "host-local"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(n.BinDir(), "host-local"), data, 0o755))
	path, err := sandbox.NewNetNS("no-pod")
	must(t, err)
	p := newPodWithoutNetwork(t, "no-pod-object")
	p.NetNS, p.ContainerID = path, "0123456789abcdef"
	leases := t.TempDir()
	local := map[string]any{
		"kubernetes": nil, "policy": nil,
		"ipam": map[string]any{"type": "host-local", "dataDir": leases, "ranges": []any{[]any{map[string]any{"subnet": "10.77.0.0/24"}}}},
	}
	held := func() int {
		files, err := filepath.Glob(filepath.Join(leases, "*", "10.77.*"))
		must(t, err)
		return len(files)
	}
	unchanged(t, "ADD and DEL", func() {
		r := add(t, p, local, "CNI_ARGS", "-")
		if got := addrs(t, r); len(got) != 1 || !strings.HasPrefix(got[0].String(), "10.77.0.") || r.Interfaces[0].Name != "cali0123456789a" || held() != 1 {
			t.Errorf("addresses %v, interfaces %+v, %d leases", got, r.Interfaces, held())
		}
		ping(t, "host to container", nil, addrs(t, r)[0])
		if a := call(t, "ADD", p, local, "CNI_ARGS", "-"); a.Error.Code != 4 || held() != 1 {
			t.Errorf("another ADD: %+v, %d leases", a, held())
		}
		for range 2 {
			if a := call(t, "DEL", p, local, "CNI_ARGS", "-"); a.Exit != 0 || held() != 0 {
				t.Errorf("DEL: %+v, %d leases", a, held())
			}
		}
	})
	must(t, n.Server.DeletePod(t.Context(), "default", "no-pod-object"))
	must(t, sandbox.RemoveNetNS(path))
}
