// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReleasesOfEachVersionAreRead settles the files that each version of the plugins wrote. Version 0 is that before
// versions.
func TestReleasesOfEachVersionAreRead(t *testing.T) {
	full := Release{
		Network: "k8s-pod-network", ContainerID: "c1", IfName: "eth0", Namespace: "shop", Pod: "cart-0", PodUID: "u-1",
		Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", Queued: noon, Others: true, OtherNetworks: true,
		Released: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")},
	}
	current := full
	current.Version, current.Node = version, "node-1"
	current.Addresses, current.Released = full.Released, full.Released[:1]
	for file, want := range map[string]Release{"version-0.json": full, "version-1.json": current} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		q := queue(t)
		add(t, q, release("other"))
		put(t, q, fileName(full.Key()), string(data))
		var got Release
		if _, err := q.Settle(t.Context(), 1, nil, func(_ context.Context, r Release) error { got = r; return nil }); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// TestReleaseBeforeVersionsReadsToday checks that the fields of the release before are where its reader looks for them.
func TestReleaseBeforeVersionsReadsToday(t *testing.T) {
	fields := func(file string) map[string]any {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	today := fields("version-1.json")
	for name, value := range fields("version-0.json") {
		if name != "released" && !cmp.Equal(today[name], value) {
			t.Errorf("%s is %v, want %v", name, today[name], value)
		}
	}
}

func TestReleaseOfLaterVersionIsKeptAndReported(t *testing.T) {
	const later = `{"version":2,"network":"net","containerID":"c","ifName":"eth0","queued":"2026-08-01T12:00:00Z","unknown":true}`
	q := queue(t)
	add(t, q, release("a"))
	put(t, q, fileName(release("c").Key()), later)
	var s settler
	done, err := q.Settle(t.Context(), 9, nil, s.settle)
	if done != 1 || !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "net@c@eth0.json") {
		t.Errorf("Settle = %d, %v; want 1 and an error that names the file", done, err)
	}
	if err := q.SettleOne(t.Context(), release("c").Key(), s.settle); !errors.Is(err, ErrVersion) {
		t.Errorf("SettleOne = %v, want ErrVersion", err)
	}
	// The release that waits is that which this DEL asks for.
	add(t, q, release("c"))
	check(t, "settled", s.String(), "a")
	check(t, "directory", dump(t, q), "-rw------- net@c@eth0.json "+later+"\n")
	checkLen(t, q, 1)
}
