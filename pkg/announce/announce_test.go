// SPDX-License-Identifier: Apache-2.0

package announce_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/announce"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/workload"
)

const (
	podIP       = "cni.projectcalico.org/podIP"
	podIPs      = "cni.projectcalico.org/podIPs"
	containerID = "cni.projectcalico.org/containerID"
)

// announced returns the annotations of a container with these addresses, and one annotation of another writer.
func announced(container string, hosts ...string) map[string]string {
	return map[string]string{podIP: hosts[0], podIPs: strings.Join(hosts, ","), containerID: container, "kept": "1"}
}

// cleared returns the annotations of a container after its DEL.
func cleared(container string) map[string]string {
	return map[string]string{podIP: "", podIPs: "", containerID: container, "kept": "1"}
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func wantAnnotations(t *testing.T, s *apiServer, want map[string]string) {
	t.Helper()
	if diff := cmp.Diff(want, s.annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestAnnounceWritesAddresses(t *testing.T) {
	s, a := serve(t, map[string]string{"kept": "1"})
	pod := s.pod()
	s.set("kept", "1") // The pod changes after it was read.
	if err := a.Announce(t.Context(), pod, addrs("10.0.0.5", "fd00::5")); err != nil {
		t.Fatal(err)
	}
	wantAnnotations(t, s, announced(ours, "10.0.0.5/32", "fd00::5/128"))
}

func TestAnnounceRejectsOtherPod(t *testing.T) {
	s, a := serve(t, map[string]string{"kept": "1"})
	pod := s.pod()
	pod.UID = "another"
	if err := a.Announce(t.Context(), pod, addrs("10.0.0.5")); !errors.Is(err, kubeapi.ErrConflict) {
		t.Errorf("Announce = %v, want ErrConflict", err)
	}
	wantAnnotations(t, s, map[string]string{"kept": "1"})
}

func TestRestoreResetsOnlyOwnAnnotations(t *testing.T) {
	none := map[string]string{"kept": "1"}
	earlier := announced("earlier", "10.0.0.4/32")
	for _, tt := range []struct {
		name              string
		before, now, want map[string]string
	}{
		{"first container", none, announced(ours, "10.0.0.5/32"), none},
		{"second container", earlier, announced(ours, "10.0.0.5/32"), earlier},
		{"patch without effect", earlier, earlier, earlier},
		{"container started since", none, announced(others, "10.0.0.6/32"), announced(others, "10.0.0.6/32")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, a := serve(t, tt.now)
			if err := a.Restore(t.Context(), kubeapi.Meta{Name: "web", UID: podUID, Annotations: tt.before}); err != nil {
				t.Error(err)
			}
			wantAnnotations(t, s, tt.want)
		})
	}
}

func TestClearKeepsAnnotationsOfOthers(t *testing.T) {
	mine, another := announced(ours, "10.0.0.5/32"), announced(others, "10.0.0.5/32")
	both := announced(ours, "10.0.0.5/32", "fd00::5/128")
	for _, tt := range []struct {
		name      string
		now       map[string]string
		addrs     []netip.Addr
		want      map[string]string
		owned     bool
		mostReads int
	}{
		{"own", mine, nil, cleared(ours), true, 0},
		{"own, with the addresses", mine, addrs("10.0.0.5"), cleared(ours), true, 0},
		{"own, with the addresses of both families", both, addrs("10.0.0.5", "fd00::5"), cleared(ours), true, 0},
		{"own, with one of the addresses", mine, addrs("10.0.0.5", "fd00::5"), cleared(ours), true, 1},
		{"own, with addresses of another interface", mine, addrs("10.1.0.5"), mine, true, 1},
		{"of another container", another, nil, another, false, 1},
		{"of another container, with the same addresses", another, addrs("10.0.0.5"), another, false, 1},
		{"of no container", announced("", "10.0.0.5/32"), nil, cleared(""), true, 1},
		{"absent", map[string]string{"kept": "1"}, addrs("10.0.0.5"), map[string]string{"kept": "1"}, true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, a := serve(t, tt.now)
			owned, err := a.Clear(t.Context(), tt.addrs)
			if owned != tt.owned || err != nil {
				t.Errorf("Clear = %t, %v; want %t", owned, err, tt.owned)
			}
			wantAnnotations(t, s, tt.want)
			if reads := strings.Count(strings.Join(s.requests, " "), "GET"); reads > tt.mostReads {
				t.Errorf("%d reads, want at most %d", reads, tt.mostReads)
			}
		})
	}
}

// TestClearKeepsAnnotationsOfNewPod uses annotations without a container in a new pod of the same name.
func TestClearKeepsAnnotationsOfNewPod(t *testing.T) {
	s, a := serve(t, announced("", "10.0.0.5/32"))
	a.ID.PodUID = "deleted"
	if _, err := a.Clear(t.Context(), nil); err != nil {
		t.Error(err)
	}
	wantAnnotations(t, s, announced("", "10.0.0.5/32"))
}

func TestClearOfNeedsReleasedAddress(t *testing.T) {
	mine := announced(ours, "10.0.0.5/32", "fd00::5/128")
	for _, tt := range []struct {
		name      string
		now, want map[string]string
		addrs     []netip.Addr
		requests  int
	}{
		{"one of the addresses", mine, cleared(ours), addrs("fd00::5"), 2},
		{"other addresses", mine, mine, addrs("10.0.0.6"), 1},
		{"prefix of the text of an address", mine, mine, addrs("fd00::"), 1},
		{"no address", mine, mine, nil, 0},
		{"another container", announced(others, "10.0.0.5/32"), announced(others, "10.0.0.5/32"), addrs("10.0.0.5"), 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, a := serve(t, tt.now)
			if err := a.ClearOf(t.Context(), tt.addrs); err != nil {
				t.Error(err)
			}
			wantAnnotations(t, s, tt.want)
			if len(s.requests) != tt.requests {
				t.Errorf("requests %q, want %d", s.requests, tt.requests)
			}
		})
	}
}

func TestMissingPodIsSuccess(t *testing.T) {
	s, a := serve(t, nil)
	s.gone = true
	if owned, err := a.Clear(t.Context(), addrs("10.0.0.5")); !owned || err != nil {
		t.Errorf("Clear = %t, %v; want true", owned, err)
	}
	if err := errors.Join(a.ClearOf(t.Context(), addrs("10.0.0.5")), a.Restore(t.Context(), kubeapi.Meta{})); err != nil {
		t.Error(err)
	}
}

// TestConcurrentChanges changes the pod between the read and the patch of ClearOf.
func TestConcurrentChanges(t *testing.T) {
	mine, another := announced(ours, "10.0.0.5/32"), announced(others, "10.0.0.6/32")
	t.Run("other annotation", func(t *testing.T) {
		s, a := serve(t, mine)
		s.beforePatch = func() { s.set("kept", "1"); s.beforePatch = nil }
		if err := a.ClearOf(t.Context(), addrs("10.0.0.5")); err != nil {
			t.Error(err)
		}
		wantAnnotations(t, s, cleared(ours))
	})
	t.Run("new container", func(t *testing.T) {
		s, a := serve(t, mine)
		s.beforePatch = func() {
			for key, value := range another {
				s.set(key, value)
			}
		}
		if err := a.ClearOf(t.Context(), addrs("10.0.0.5")); err != nil {
			t.Error(err)
		}
		wantAnnotations(t, s, another)
	})
	t.Run("without end", func(t *testing.T) {
		s, a := serve(t, mine)
		s.beforePatch = func() { s.set("kept", "1") }
		if err := a.ClearOf(t.Context(), addrs("10.0.0.5")); !errors.Is(err, kubeapi.ErrConflict) {
			t.Errorf("ClearOf = %v, want ErrConflict", err)
		}
		wantAnnotations(t, s, mine)
	})
}

func TestIsPodAcceptsMirrorPods(t *testing.T) {
	pod := kubeapi.Meta{UID: podUID, Annotations: map[string]string{
		"kubernetes.io/config.mirror": "mirror", "kubernetes.io/config.hash": "hash",
	}}
	for uid, want := range map[string]bool{podUID: true, "mirror": true, "hash": true, "": true, "another": false} {
		if got := (announce.Announcer{ID: workload.ID{PodUID: uid}}).IsPod(pod); got != want {
			t.Errorf("UID %q: %t, want %t", uid, got, want)
		}
	}
}
