// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/agent/autodetect/hostnet"
	"calico-cni/pkg/apis/crd/v1/spec"
)

func TestParseSettings(t *testing.T) {
	for _, tt := range []struct {
		variable, value string
		change          func(*Settings)
		finding         string
	}{
		{"CALICO_NETWORKING_BACKEND", "VXLAN", func(s *Settings) { s.Backend = BackendVXLAN }, ""},
		{"CALICO_NETWORKING_BACKEND", "none", func(s *Settings) { s.Backend = BackendNone }, ""},
		{"CALICO_NETWORKING_BACKEND", "gobgp", nil, `environment CALICO_NETWORKING_BACKEND: "gobgp" is ignored and bird applies; set bird, vxlan or none`},
		{"AS", "64512", func(s *Settings) { s.ASNumber = "64512" }, ""},
		{"AS", "1.10", func(s *Settings) { s.ASNumber = "65546" }, ""},
		{"AS", "4294967296", func(s *Settings) { s.ASNumber = "" }, `environment AS: "4294967296" is ignored and no value applies; ` +
			"set a number of an autonomous system, such as 64512 or 1.10"},
		{"AUTODETECT_POLL_INTERVAL", "30s", func(s *Settings) { s.PollInterval = 30 * time.Second }, ""},
		{"AUTODETECT_POLL_INTERVAL", "0", nil, `environment AUTODETECT_POLL_INTERVAL: "0" is ignored and the default 1m applies; set a duration of at least 1s, such as 60s`},
		{"CALICO_NODENAME_FILE", "/run/n", func(s *Settings) { s.NodeNameFile = "/run/n" }, ""},
		{"IP6_AUTODETECTION_METHOD", "x", func(s *Settings) { s.MethodV6 = "x" }, ""},
	} {
		want := Settings{Backend: BackendBIRD, PollInterval: time.Minute, NodeNameFile: "/var/lib/calico/nodename"}
		if tt.change != nil {
			tt.change(&want)
		}
		got, findings := ParseSettings(map[string]string{tt.variable: tt.value})
		var text []string
		for _, f := range findings {
			text = append(text, f.String())
		}
		if diff := cmp.Diff(want, got); diff != "" || strings.Join(text, "\n") != tt.finding {
			t.Errorf("%s=%s: %q, -want +got:\n%s", tt.variable, tt.value, text, diff)
		}
	}
}

func TestDestinations(t *testing.T) {
	s, _ := ParseSettings(map[string]string{"IP6_AUTODETECTION_METHOD": "can-reach=www.example.com"})
	if got := s.Destinations(); !slices.Equal(got, []hostnet.Destination{{Name: "www.example.com", IPv6: true}}) {
		t.Errorf("%v", got)
	}
}

// apply applies a merge patch of annotations.
func apply(t interface{ Fatal(...any) }, now map[string]string, patch []byte) map[string]string {
	var p struct {
		Metadata struct {
			Annotations map[string]*string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		t.Fatal(err)
	}
	out := maps.Clone(now)
	for k, v := range p.Metadata.Annotations {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = *v
	}
	return out
}

// TestAnnotationPatch checks that a patch makes the annotations those that are wanted, changes no others, and is nil if
// and only if there is nothing to change.
func TestAnnotationPatch(t *testing.T) {
	keys, values := rapid.SampledFrom([]string{"a/b", "c", "d"}), rapid.SampledFrom([]string{"1", "2", `"<`})
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.MapOf(keys, values).Draw(t, "now")
		want := rapid.MapOf(keys, rapid.OneOf(values, rapid.Just(""))).Draw(t, "want")
		expected := maps.Clone(now)
		for k, v := range want {
			if expected[k] = v; v == "" {
				delete(expected, k)
			}
		}
		patch := AnnotationPatch(now, want)
		if patch == nil {
			if !maps.Equal(now, expected) {
				t.Fatalf("no patch from %v to %v", now, expected)
			}
			return
		}
		if got := apply(t, now, patch); !maps.Equal(got, expected) || maps.Equal(now, expected) {
			t.Fatalf("%s makes %v of %v, want %v", patch, got, now, expected)
		}
	})
}

func host(addrs ...string) autodetect.Host {
	l := autodetect.Link{Name: "eth0", Up: true}
	for _, a := range addrs {
		l.Addrs = append(l.Addrs, netip.MustParsePrefix(a))
	}
	return autodetect.Host{Links: []autodetect.Link{l}}
}

func TestAddressesFollowTheHost(t *testing.T) {
	s, _ := ParseSettings(map[string]string{"IP": "autodetect", "IP6": "autodetect", "AS": "64512"})
	a, at := Addresses{Node: "n", Settings: s}, time.Unix(1e9, 0)
	node := Node{Annotations: map[string]string{
		"projectcalico.org/IPv4Address": "203.0.113.1/24", "projectcalico.org/IPv4IPIPTunnelAddr": "10.0.0.1", "other": "x",
	}}
	step := func(name string, h autodetect.Host, more, want map[string]string, findings int) {
		t.Helper()
		at = at.Add(time.Minute)
		patch, found := a.Patch(node, h, more, at)
		if patch != nil {
			node.Annotations = apply(t, node.Annotations, patch)
		}
		if diff := cmp.Diff(want, node.Annotations); diff != "" || len(found) != findings {
			t.Fatalf("%s: %v, -want +got:\n%s", name, found, diff)
		}
		if again := AnnotationPatch(node.Annotations, want); again != nil {
			t.Fatalf("%s: patched again: %s", name, again)
		}
	}
	first := map[string]string{
		"projectcalico.org/IPv4Address": "192.0.2.1/24", "projectcalico.org/IPv6Address": "2001:db8::1/64",
		"projectcalico.org/ASNumber":   "64512",
		"projectcalico.org/Interfaces": `[{"name":"eth0","addresses":["192.0.2.1","2001:db8::1"]}]`, "other": "x",
	}
	step("start", host("192.0.2.1/24", "2001:db8::1/64"),
		map[string]string{"projectcalico.org/IPv4IPIPTunnelAddr": ""}, first, 0)
	step("nothing new", host("192.0.2.1/24", "2001:db8::1/64"), nil, first, 0)
	gone := maps.Clone(first)
	gone["projectcalico.org/Interfaces"] = `[{"name":"eth0","addresses":["192.0.2.1"]}]`
	step("IPv6 fails", host("192.0.2.1/24"), nil, gone, 1)
	step("both fail", host(), nil, gone, 2)
	seen := maps.Clone(gone)
	seen["projectcalico.org/Interfaces"] = `[{"name":"eth0","addresses":["192.0.2.7"]}]`
	step("other address once", host("192.0.2.7/24"), nil, seen, 1)
	seen["projectcalico.org/IPv4Address"] = "192.0.2.7/24"
	step("other address twice", host("192.0.2.7/24"), nil, seen, 1)
}

func TestBackendNoneWritesNoAddresses(t *testing.T) {
	s, _ := ParseSettings(map[string]string{"CALICO_NETWORKING_BACKEND": "none", "IP": "autodetect"})
	a := Addresses{Node: "n", Settings: s}
	if patch, findings := a.Patch(Node{}, host("192.0.2.1/24"), nil, time.Time{}); patch != nil || findings != nil {
		t.Errorf("%s, %v", patch, findings)
	}
}

func TestConditionPatch(t *testing.T) {
	at := time.Unix(1e9, 0)
	condition := func(status, reason string) []Condition {
		return []Condition{
			{Type: "Ready", Status: "True", Reason: "KubeletReady"},
			{Type: "NetworkUnavailable", Status: status, Reason: reason, LastTransitionTime: "2001-01-01T00:00:00Z"},
		}
	}
	for _, tt := range []struct {
		state State
		now   []Condition
		want  string // status, reason and time of transition
	}{
		{Starting, nil, ""},
		{Starting, condition("True", "CalicoIsDown"), ""},
		{Up, nil, "False CalicoIsUp 2001-09-09T01:46:40Z"},
		{Up, condition("True", "NoRouteCreated"), "False CalicoIsUp 2001-09-09T01:46:40Z"},
		{Up, condition("False", "RouteCreated"), "False CalicoIsUp 2001-01-01T00:00:00Z"},
		{Up, condition("False", "CalicoIsUp"), ""},
		{Down, condition("False", "CalicoIsUp"), "True CalicoIsDown 2001-09-09T01:46:40Z"},
		{Down, condition("True", "CalicoIsDown"), ""},
	} {
		patch := ConditionPatch(tt.state, tt.now, at)
		got := ""
		if patch != nil {
			var p struct {
				Status struct {
					Conditions []Condition `json:"conditions"`
				} `json:"status"`
			}
			if err := json.Unmarshal(patch, &p); err != nil || len(p.Status.Conditions) != 1 {
				t.Fatalf("%s: %v", patch, err)
			}
			c := p.Status.Conditions[0]
			got = c.Status + " " + c.Reason + " " + c.LastTransitionTime
			if c.Type != "NetworkUnavailable" || c.LastHeartbeatTime != "2001-09-09T01:46:40Z" || c.Message == "" {
				t.Errorf("%+v", c)
			}
		}
		if got != tt.want {
			t.Errorf("state %d, %v: got %q, want %q", tt.state, tt.now, got, tt.want)
		}
	}
}

// fakeAPI is an API server that keeps objects by plural and name.
type fakeAPI struct {
	sync.Mutex
	objects map[string]any
	refuse  string
	kubeadm int
}

var errRefused = errors.New("not permitted")

func (f *fakeAPI) Create(_ context.Context, o Object) error {
	f.Lock()
	defer f.Unlock()
	if o.Plural == f.refuse {
		return errRefused
	}
	if _, exists := f.objects[o.Plural+"/"+o.Name]; !exists {
		f.objects[o.Plural+"/"+o.Name] = o.Spec
	}
	return nil
}

func (f *fakeAPI) Pools(context.Context) ([]netip.Prefix, error) {
	f.Lock()
	defer f.Unlock()
	var all []netip.Prefix
	for _, o := range f.objects {
		if p, isPool := o.(spec.IPPool); isPool {
			all = append(all, netip.MustParsePrefix(p.CIDR))
		}
	}
	return all, nil
}

func (f *fakeAPI) Kubeadm(context.Context) (string, error) {
	f.kubeadm++
	return kubeadm, nil
}

func TestDefaults(t *testing.T) {
	for _, tt := range []struct {
		v3   bool
		ipam string
	}{{false, "ipamconfigs/default"}, {true, "ipamconfigurations/default"}} {
		api := &fakeAPI{objects: map[string]any{"tiers/default": "as the administrator wants it"}}
		d := Defaults{
			API: api, Env: map[string]string{"CLUSTER_TYPE": "k8s, bgp"}, V3: tt.v3, IPv6: true,
			Random: bytes.NewReader(bytes.Repeat([]byte{7}, 99)),
		}
		for range 2 {
			if err := d.Create(t.Context(), netip.Prefix{}); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{
			"clusterinformations/default", "felixconfigurations/default", tt.ipam, "ippools/default-ipv4-ippool",
			"ippools/default-ipv6-ippool", "tiers/default", "tiers/kube-admin", "tiers/kube-baseline",
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(api.objects))); diff != "" || api.kubeadm != 1 {
			t.Errorf("ConfigMap read %d times, -want +got:\n%s", api.kubeadm, diff)
		}
		info := map[string]any{
			"clusterGUID": strings.Repeat("07", 16), "clusterType": "k8s,kdd,bgp", "datastoreReady": true,
		}
		if diff := cmp.Diff(info, api.objects["clusterinformations/default"]); diff != "" ||
			api.objects["tiers/default"] != "as the administrator wants it" {
			t.Errorf("%v, -want +got:\n%s", api.objects["tiers/default"], diff)
		}
	}
}

// TestRefusedObjectDoesNotStopOthers refuses one kind of objects after the other.
func TestRefusedObjectDoesNotStopOthers(t *testing.T) {
	for refuse, objects := range map[string]int{"tiers": 4, "felixconfigurations": 6, "clusterinformations": 6, "ippools": 6} {
		api := &fakeAPI{objects: map[string]any{}, refuse: refuse}
		d := Defaults{API: api, Random: bytes.NewReader(make([]byte, 99))}
		if err := d.Create(t.Context(), netip.Prefix{}); !errors.Is(err, errRefused) || len(api.objects) != objects {
			t.Errorf("%s: %v, %v", refuse, err, slices.Sorted(maps.Keys(api.objects)))
		}
	}
}
