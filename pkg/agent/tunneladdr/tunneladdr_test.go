// SPDX-License-Identifier: Apache-2.0

package tunneladdr

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/model"
	"calico-cni/pkg/selector"
)

// bed is a store with the pools of a cluster, and the tunnel addresses of node "n".
type bed struct {
	t           testing.TB
	store       *memstore.Store
	modes       []model.Pool
	annotations map[string]string
	addresses   Addresses
}

func newBed(t testing.TB) *bed {
	seconds := int64(1e9)
	now := func() time.Time {
		seconds++
		return time.Unix(seconds, 0)
	}
	store := memstore.New(now)
	return &bed{t: t, store: store, annotations: map[string]string{}, addresses: Addresses{
		Allocator: &ipam.Allocator{Store: store, Now: now}, Cluster: store, Node: "n", Now: now,
	}}
}

// setPools replaces the pools. Each has the form "name CIDR mode ...", where the modes are vxlan, ipip, disabled,
// deleting, workload, tunnel, manual and other (another node's).
func (b *bed) setPools(pools ...string) {
	b.t.Helper()
	b.modes, b.store.IPPools = nil, nil
	for _, text := range pools {
		words := strings.Fields(text)
		cidr := netip.MustParsePrefix(words[1])
		m := model.Pool{Name: words[0], CIDR: cidr}
		p := pool.Pool{Name: words[0], CIDR: cidr, BlockSize: 26}
		if cidr.Addr().Is6() {
			p.BlockSize = 122
		}
		for _, mode := range words[2:] {
			switch mode {
			case "vxlan":
				m.VXLAN = model.CrossSubnet
			case "ipip":
				m.IPIP = model.Always
			case "disabled":
				p.Disabled, m.Disabled = true, true
			case "deleting":
				p.Deleting = true
			case "workload":
				p.Uses = []pool.Use{pool.Workload}
			case "tunnel":
				p.Uses = []pool.Use{pool.Tunnel}
			case "manual":
				p.Manual = true
			case "other":
				s, err := selector.Parse("name == 'other'")
				if err != nil {
					b.t.Fatal(err)
				}
				p.Node = s
			default:
				b.t.Fatalf("unknown mode %s", mode)
			}
		}
		b.modes, b.store.IPPools = append(b.modes, m), append(b.store.IPPools, p)
	}
}

// ensure ensures the addresses, and applies the annotations as a patch does.
func (b *bed) ensure() error {
	want, err := b.addresses.Ensure(context.Background(), b.modes, b.annotations)
	for k, v := range want {
		if b.annotations[k] = v; v == "" {
			delete(b.annotations, k)
		}
	}
	return err
}

// held returns the allocated addresses by handle, and the sum of the counts of the handles.
func (b *bed) held() (map[string][]string, int) {
	out, counts := map[string][]string{}, 0
	for _, k := range kinds() {
		handle := k.handle + "n"
		row, err := b.store.Handles().Get(context.Background(), handle)
		if err == nil {
			for _, n := range row.Value.Counts {
				counts += n
			}
		}
	}
	all, err := b.addresses.Allocator.HeldByNode(context.Background(), "n", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, h := range all {
		out[h.Handle] = append(out[h.Handle], h.Addr.String())
	}
	return out, counts
}

const (
	vxlanAnnotation   = "projectcalico.org/IPv4VXLANTunnelAddr"
	vxlanV6Annotation = "projectcalico.org/IPv6VXLANTunnelAddr"
	ipipAnnotation    = "projectcalico.org/IPv4IPIPTunnelAddr"
)

func TestAddressesFollowPools(t *testing.T) {
	b := newBed(t)
	const a, c, d, six = "a 10.1.0.0/24 ", "c 10.2.0.0/24 ", "d 10.3.0.0/24 ", "six fd00::/120 "
	for i, step := range []struct {
		pools []string
		want  map[string]string // the pools of the addresses, by annotation
	}{
		{nil, nil},
		{[]string{a}, nil},
		{[]string{a + "vxlan", six + "vxlan"}, map[string]string{vxlanAnnotation: "a", vxlanV6Annotation: "six"}},
		{[]string{a + "vxlan", c + "ipip", six + "vxlan"}, map[string]string{vxlanAnnotation: "a", ipipAnnotation: "c", vxlanV6Annotation: "six"}},
		// A further pool changes nothing.
		{[]string{a + "vxlan", c + "ipip", d + "vxlan"}, map[string]string{vxlanAnnotation: "a", ipipAnnotation: "c"}},
		// Disabled, of another node, for pods only or being deleted: the address moves to another pool.
		{[]string{a + "vxlan disabled", d + "vxlan"}, map[string]string{vxlanAnnotation: "d"}},
		{[]string{a + "vxlan", d + "vxlan other"}, map[string]string{vxlanAnnotation: "a"}},
		{[]string{a + "vxlan workload", d + "vxlan manual"}, map[string]string{vxlanAnnotation: "d"}},
		{[]string{a + "vxlan", d + "vxlan deleting"}, map[string]string{vxlanAnnotation: "a"}},
		{[]string{a, d + "vxlan tunnel"}, map[string]string{vxlanAnnotation: "d"}},
		{[]string{a + "vxlan"}, map[string]string{vxlanAnnotation: "a"}},
		// Without another pool it stays, unless the pool is being deleted.
		{[]string{a + "vxlan disabled"}, map[string]string{vxlanAnnotation: "a"}},
		{[]string{a + "ipip disabled", d + "vxlan disabled"}, map[string]string{vxlanAnnotation: "a"}},
		{[]string{a + "vxlan deleting"}, nil},
		// A new address never comes from such a pool.
		{[]string{a + "vxlan disabled", c + "vxlan workload", d + "vxlan other"}, nil},
		// Another encapsulation.
		{[]string{a + "ipip"}, map[string]string{ipipAnnotation: "a"}},
		{[]string{a + "vxlan"}, map[string]string{vxlanAnnotation: "a"}},
		{[]string{a}, nil},
	} {
		b.setPools(step.pools...)
		before := maps.Clone(b.annotations)
		if err := b.ensure(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		got := map[string]string{}
		for annotation, text := range b.annotations {
			p, _ := pool.Containing(b.store.IPPools, netip.MustParseAddr(text))
			got[annotation] = p.Name
			if before[annotation] != "" && step.want[annotation] == poolOf(b, before[annotation]) && before[annotation] != text {
				t.Errorf("step %d: %s changed from %s to %s in the same pool", i, annotation, before[annotation], text)
			}
		}
		if diff := cmp.Diff(step.want, got, cmp.Transformer("nil", func(m map[string]string) map[string]string {
			return maps.Collect(maps.All(m))
		})); diff != "" {
			t.Fatalf("step %d, -want +got:\n%s", i, diff)
		}
		held, counts := b.held()
		if len(held) != len(step.want) || counts != len(step.want) {
			t.Fatalf("step %d: held %v, handles count %d", i, held, counts)
		}
		revision := b.store.Revision()
		if err := b.ensure(); err != nil || b.store.Revision() != revision {
			t.Fatalf("step %d: written again: %v", i, err)
		}
	}
}

func poolOf(b *bed, addr string) string {
	p, _ := pool.Containing(b.store.IPPools, netip.MustParseAddr(addr))
	return p.Name
}

// TestAddressOfCalicoIsKept checks that an address stays that Calico has allocated, with its attributes.
func TestAddressOfCalicoIsKept(t *testing.T) {
	for _, tt := range []struct {
		owner map[string]string
		kept  bool
	}{
		{map[string]string{"node": "n", "type": "vxlanTunnelAddress"}, true},
		{map[string]string{"node": "m", "type": "vxlanTunnelAddress"}, false},
		{map[string]string{"node": "n", "type": "ipipTunnelAddress"}, false},
		{nil, false},
	} {
		b := newBed(t)
		b.setPools("a 10.1.0.0/24 vxlan")
		const addr = "10.1.0.7"
		view, err := b.addresses.Allocator.Gather(t.Context(), b.store, "n", nil, false)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.addresses.Allocator.Assign(t.Context(), view, ipam.Request{
			Node: "n", Handle: "vxlan-tunnel-addr-n", Owner: tt.owner, Wants: []ipam.Want{{Addr: netip.MustParseAddr(addr)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.ensure(); err != nil {
			t.Fatal(err)
		}
		held, counts := b.held()
		if kept := b.annotations[vxlanAnnotation] == addr; kept != tt.kept || counts != 1 || len(held) != 1 {
			t.Errorf("%v: kept %v: %v, %v", tt.owner, kept, b.annotations, held)
		}
	}
}

// TestAnnotatedAddressIsKept checks that of two addresses the one in the annotation stays.
func TestAnnotatedAddressIsKept(t *testing.T) {
	k := kinds()[0]
	f := facts{
		node: "n", pools: []pool.Pool{{Name: "a", CIDR: netip.MustParsePrefix("10.1.0.0/24"), BlockSize: 26}},
		modes: []model.Pool{{Name: "a", CIDR: netip.MustParsePrefix("10.1.0.0/24"), VXLAN: model.Always}},
	}
	var held []ipam.Held
	for _, addr := range []string{"10.1.0.1", "10.1.0.2", "10.1.0.3"} {
		held = append(held, ipam.Held{
			Holding: block.Holding{Addr: netip.MustParseAddr(addr)},
			Owner:   map[string]string{"node": "n", "type": "vxlanTunnelAddress"},
		})
	}
	for annotated, want := range map[string]string{"10.1.0.2": "10.1.0.2", "10.9.9.9": "10.1.0.1"} {
		d := k.decide(f, held, netip.MustParseAddr(annotated))
		if d.keep.String() != want || len(d.release) != 2 || len(d.pools) != 0 {
			t.Errorf("annotated %s: %+v", annotated, d)
		}
	}
}

func TestFailedKindKeepsItsAnnotation(t *testing.T) {
	b := newBed(t)
	b.setPools("a 10.1.0.0/24 vxlan", "c 10.2.0.0/24 ipip")
	b.store.Fault = func(r memstore.Request) memstore.Outcome {
		if r.Kind == "handle" && strings.HasPrefix(r.Key, "ipip") {
			return memstore.Refused
		}
		return memstore.Pass
	}
	b.annotations[ipipAnnotation] = "10.2.0.1"
	err := b.ensure()
	if err == nil || !strings.Contains(err.Error(), "ensure the ipipTunnelAddress") {
		t.Errorf("error %v", err)
	}
	if b.annotations[ipipAnnotation] != "10.2.0.1" || b.annotations[vxlanAnnotation] == "" {
		t.Error(b.annotations)
	}
	b.store.Fault, b.store.Locked = nil, true
	if err := b.ensure(); err == nil {
		t.Error("an address was allocated in a locked datastore")
	}
}

// TestInterruptedReleaseLeavesNoHandle stops a release at each request.
func TestInterruptedReleaseLeavesNoHandle(t *testing.T) {
	for stop := range 12 {
		for _, outcome := range []memstore.Outcome{memstore.Refused, memstore.AnswerLost} {
			b := newBed(t)
			b.setPools("a 10.1.0.0/24 vxlan")
			if err := b.ensure(); err != nil {
				t.Fatal(err)
			}
			b.setPools("a 10.1.0.0/24")
			calls := 0
			b.store.Fault = func(memstore.Request) memstore.Outcome {
				if calls++; calls < stop {
					return memstore.Pass
				}
				return map[bool]memstore.Outcome{true: outcome, false: memstore.Refused}[calls == stop]
			}
			_ = b.ensure()
			b.store.Fault = nil
			if err := b.ensure(); err != nil {
				t.Fatal(err)
			}
			if held, counts := b.held(); len(held) > 0 || counts > 0 || len(b.annotations) > 0 {
				t.Errorf("stopped at request %d: held %v, handles count %d, annotations %v", stop, held, counts, b.annotations)
			}
		}
	}
}

// TestInterruptedRunsConverge stops a run at any request, before or after it takes effect, with any change of pools, and
// checks that the next run leaves exactly one address of each kind that a pool needs, and none of another.
func TestInterruptedRunsConverge(t *testing.T) {
	choices := []string{"", "vxlan", "ipip", "vxlan disabled", "vxlan deleting", "ipip workload"}
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed(t)
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			var pools []string
			for i, name := range []string{"a", "c"} {
				pools = append(pools, fmt.Sprintf("%s 10.%d.0.0/24 %s", name, i+1, rapid.SampledFrom(choices).Draw(rt, name)))
			}
			b.setPools(pools...)
			stop := rapid.IntRange(0, 20).Draw(rt, "stop")
			outcome := rapid.SampledFrom([]memstore.Outcome{memstore.Refused, memstore.AnswerLost}).Draw(rt, "outcome")
			calls := 0
			b.store.Fault = func(memstore.Request) memstore.Outcome {
				if calls++; calls > stop {
					return memstore.Refused
				}
				if calls == stop {
					return outcome
				}
				return memstore.Pass
			}
			interrupted := b.ensure() != nil
			b.store.Fault = nil
			if err := b.ensure(); err != nil {
				rt.Fatalf("after an interruption (%v): %v", interrupted, err)
			}
			held, counts := b.held()
			total := 0
			for _, k := range kinds() {
				addrs := held[k.handle+"n"]
				total += len(addrs)
				eligible, _ := k.eligible(facts{node: "n", modes: b.modes, pools: b.store.IPPools})
				annotated := b.annotations[k.annotation]
				switch {
				case len(addrs) > 1, len(addrs) == 1 && addrs[0] != annotated, len(addrs) == 0 && annotated != "":
					rt.Fatalf("%v, annotation %q", addrs, annotated)
				case len(eligible) > 0 && (annotated == "" || !strings.Contains(strings.Join(eligible, " "), poolOf(b, annotated))):
					rt.Fatalf("address %q, want one of %v", annotated, eligible)
				}
			}
			if counts != total {
				rt.Fatalf("handles count %d addresses of %d", counts, total)
			}
		}
	})
}
