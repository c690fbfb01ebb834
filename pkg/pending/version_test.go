// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// complete is a release with all fields. testdata has its file in each version.
func complete() Release {
	return Release{
		Version: version, Network: "k8s-pod-network", ContainerID: "c1", IfName: "eth0", Namespace: "shop", Pod: "cart-0",
		PodUID: "u-1", Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", APIRoot: "https://10.96.0.1", Node: "node-1",
		Queued: noon, Others: SomeOthers, OtherNetworks: true,
		Addresses:      []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::3")},
		ReleasedBefore: true, Released: []netip.Addr{netip.MustParseAddr("10.1.2.3")},
	}
}

// TestAddWritesCurrentVersion compares the file of a release with testdata, which a later version must still read.
func TestAddWritesCurrentVersion(t *testing.T) {
	r := complete()
	for i, fields := 0, reflect.ValueOf(r); i < fields.NumField(); i++ {
		if fields.Field(i).IsZero() {
			t.Errorf("the release of this test does not set %s", fields.Type().Field(i).Name)
		}
	}
	want := readFile(t, filepath.Join("testdata", fmt.Sprintf("version-%d.json", version)))
	q := newQueue(t)
	file := filepath.Join(q.Dir, fileName(r.Key()))
	add(t, q, r)
	check(t, "file", readFile(t, file), want)

	// A release that fails halfway is added again. It keeps all that it knows.
	failed := errors.New("outage")
	_, err := settlerOf(q).Settle(t.Context(), 1, nil, func(_ context.Context, r Release) error {
		return errors.Join(failed, q.Add(r))
	})
	if !errors.Is(err, failed) {
		t.Errorf("Settle = %v, want the outage", err)
	}
	check(t, "file of the release that was added again", readFile(t, file), want)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestReleasesOfEachVersionAreRead settles the file that each version of the plugins wrote.
func TestReleasesOfEachVersionAreRead(t *testing.T) {
	for file, want := range map[string]Release{"version-1.json": complete()} {
		q := newQueue(t)
		add(t, q, releaseOf("other"))
		put(t, q, fileName(want.Key()), readFile(t, filepath.Join("testdata", file)))
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

// TestAddReplacesFileWithoutVersion adds a release in place of a file that contains none.
func TestAddReplacesFileWithoutVersion(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("c"))
	put(t, q, fileName(releaseOf("c").Key()), `{"network":"net","containerID":"c","ifName":"eth0","addresses":["10.1.2.3"]}`)
	r := releaseOf("c")
	r.Queued = noon
	add(t, q, r)
	check(t, "directory", dump(t, q), `-rw------- net@c@eth0.json {"version":1,"network":"net","containerID":"c",`+
		`"ifName":"eth0","queued":"2026-08-01T12:00:00Z","others":"none"}`+"\n")
}
