// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestReleasesOfEachVersionAreRead settles the file that each version of the plugins wrote.
func TestReleasesOfEachVersionAreRead(t *testing.T) {
	first := Release{
		Version: 1, Network: "k8s-pod-network", ContainerID: "c1", IfName: "eth0", Namespace: "shop", Pod: "cart-0",
		PodUID:     "u-1",
		Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", Node: "node-1", Queued: noon, Others: true, OtherNetworks: true,
		Addresses: []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")},
		Released:  []netip.Addr{netip.MustParseAddr("10.1.2.3")},
	}
	for file, want := range map[string]Release{"version-1.json": first} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		q := newQueue(t)
		add(t, q, releaseOf("other"))
		put(t, q, fileName(want.Key()), string(data))
		var got Release
		if _, err := settlerOf(q).Settle(t.Context(), 1, nil, func(_ context.Context, r Release) error {
			got = r
			return nil
		}); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestReleaseOfNewerVersionIsKeptAndReported(t *testing.T) {
	const later = `{"version":2,"network":"net","containerID":"c","ifName":"eth0","queued":"2026-08-01T12:00:00Z","unknown":true}`
	q := newQueue(t)
	add(t, q, releaseOf("a"))
	put(t, q, fileName(releaseOf("c").Key()), later)
	var s recorder
	done, err := settlerOf(q).Settle(t.Context(), 9, nil, s.settle)
	if done != 1 || !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "net@c@eth0.json") {
		t.Errorf("Settle = %d, %v; want 1 and an error that names the file", done, err)
	}
	if err := settlerOf(q).SettleOne(t.Context(), releaseOf("c").Key(), s.settle); !errors.Is(err, ErrVersion) {
		t.Errorf("SettleOne = %v, want ErrVersion", err)
	}
	// Add leaves the queued release of the attachment unchanged.
	add(t, q, releaseOf("c"))
	check(t, "settled", s.String(), "a")
	check(t, "directory", dump(t, q), "-rw------- net@c@eth0.json "+later+"\n")
	checkLen(t, q, 1)
}
