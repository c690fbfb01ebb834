// SPDX-License-Identifier: Apache-2.0

package block

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a simple implementation of a block: a list of free addresses in the order of their release, and a map of
// allocated addresses.
type model struct {
	free    []netip.Addr
	held    map[netip.Addr]holder
	cooling map[netip.Addr]time.Time
}

type holder struct {
	handle   string
	sequence int64
}

func newModel(b Block) *model {
	m := &model{held: map[netip.Addr]holder{}, cooling: map[netip.Addr]time.Time{}}
	for a := b.CIDR.Addr(); b.CIDR.Contains(a); a = a.Next() {
		m.free = append(m.free, a)
	}
	return m
}

func (m *model) assign(handle string, sequence int64, skip func(netip.Addr) bool) (netip.Addr, bool) {
	for i, a := range m.free {
		if !skip(a) {
			m.free = slices.Delete(m.free, i, i+1)
			m.held[a] = holder{handle, sequence}
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (m *model) assignAddr(a netip.Addr, handle string, sequence int64) bool {
	i := slices.Index(m.free, a)
	if i < 0 {
		return false
	}
	m.free = slices.Delete(m.free, i, i+1)
	m.held[a] = holder{handle, sequence}
	return true
}

func (m *model) release(handle string, a netip.Addr, sequence int64, now time.Time, cooldown time.Duration) bool {
	if m.held[a] != (holder{handle, sequence}) {
		return false
	}
	delete(m.held, a)
	if cooldown > 0 {
		m.cooling[a] = now
	} else {
		m.free = append(m.free, a)
	}
	return true
}

func (m *model) thaw(now time.Time, cooldown time.Duration) {
	var due []netip.Addr
	for a, at := range m.cooling {
		if m.over(at, now, cooldown) {
			due = append(due, a)
		}
	}
	slices.SortFunc(due, func(x, y netip.Addr) int {
		if c := m.cooling[x].Compare(m.cooling[y]); c != 0 {
			return c
		}
		return x.Compare(y)
	})
	for _, a := range due {
		delete(m.cooling, a)
	}
	m.free = append(m.free, due...)
}

// over reports whether the cooldown of a release is over. The clock of the release may have been ahead.
func (*model) over(released, now time.Time, cooldown time.Duration) bool {
	return now.Sub(released) >= cooldown || released.Sub(now) >= cooldown
}

func (m *model) empty(now time.Time, cooldown time.Duration) bool {
	for _, at := range m.cooling {
		if !m.over(at, now, cooldown) {
			return false
		}
	}
	return len(m.held) == 0
}

func (m *model) String() string {
	return fmt.Sprintf("free %v\nheld %v\ncooling %v", m.free, m.held, m.cooling)
}

// asModel converts a block to a model.
func asModel(b Block) *model {
	m := &model{held: map[netip.Addr]holder{}, cooling: map[netip.Addr]time.Time{}}
	for _, o := range b.Unallocated {
		m.free = append(m.free, b.Addr(o))
	}
	for o, a := range b.Allocations {
		if a == Free {
			continue
		}
		if at := b.Attributes[a].ReleasedAt; !at.IsZero() {
			m.cooling[b.Addr(o)] = at
		} else {
			m.held[b.Addr(o)] = holder{b.Attributes[a].Handle, b.SequenceAt[o]}
		}
	}
	return m
}

func TestBlockMatchesModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cidr := rapid.SampledFrom([]string{
			"10.0.0.0/29", "10.0.0.252/30", "10.0.0.7/32", "fd00::ff8/125", "10.0.0.0/23",
		}).Draw(t, "cidr")
		cooldown := rapid.SampledFrom([]time.Duration{0, 0, 5 * time.Second}).Draw(t, "cooldown")
		b := New(netip.MustParsePrefix(cidr), "host:a", epoch)
		m := newModel(b)
		now := epoch
		handles := rapid.SampledFrom([]string{"net.a", "net.b", "net.c"})
		addrs := rapid.Custom(func(t *rapid.T) netip.Addr {
			return b.Addr(rapid.IntRange(0, len(b.Allocations)-1).Draw(t, "ordinal"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"assign": func(t *rapid.T) {
				handle, reserved := handles.Draw(t, "handle"), addrs.Draw(t, "reserved")
				skip := func(a netip.Addr) bool { return a == reserved }
				got, ok := b.Assign(Attribute{Handle: handle}, skip)
				want, wantOK := m.assign(handle, b.Sequence, skip)
				if ok != wantOK || got.Addr != want {
					t.Fatalf("assign: %v %v, want %v %v", got.Addr, ok, want, wantOK)
				}
			},
			"assign a specific address": func(t *rapid.T) {
				handle, a := handles.Draw(t, "handle"), addrs.Draw(t, "addr")
				_, err := b.AssignAddr(a, Attribute{Handle: handle})
				if want := m.assignAddr(a, handle, b.Sequence); (err == nil) != want {
					t.Fatalf("assign %s: %v, want success %v", a, err, want)
				}
			},
			"release": func(t *rapid.T) {
				handle := handles.Draw(t, "handle")
				h := Holding{Addr: addrs.Draw(t, "addr"), Sequence: b.Sequence - rapid.Int64Range(0, 2).Draw(t, "age")}
				got := b.Release(handle, h, now, cooldown)
				if want := m.release(handle, h.Addr, h.Sequence, now, cooldown); got != want {
					t.Fatalf("release %v of %s: %v, want %v", h, handle, got, want)
				}
			},
			"release all of a handle": func(t *rapid.T) {
				handle := handles.Draw(t, "handle")
				for _, h := range b.Held(handle) {
					if !b.Release(handle, h, now, cooldown) || !m.release(handle, h.Addr, h.Sequence, now, cooldown) {
						t.Fatalf("an address of %s was not released: %v", handle, h)
					}
				}
				for a, h := range m.held {
					if h.handle == handle {
						t.Fatalf("%s still holds %s", handle, a)
					}
				}
			},
			"set the clock and write": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(-8, 8).Draw(t, "seconds")) * time.Second)
				b.Sequence++
				b.Thaw(now, cooldown)
				m.thaw(now, cooldown)
			},
			"": func(t *rapid.T) {
				if err := b.Validate(); err != nil {
					t.Fatal(err)
				}
				if got, want := asModel(b).String(), m.String(); got != want {
					t.Fatalf("block is\n%s\nmodel is\n%s", got, want)
				}
				if got, want := b.Usage(), (Usage{len(m.free), len(m.held), len(m.cooling)}); got != want {
					t.Fatalf("usage %+v, want %+v", got, want)
				}
				if got, want := len(b.SequenceAt), len(m.held); got != want {
					t.Fatalf("%d sequence numbers for %d held addresses", got, want)
				}
				if got, want := b.Empty(now, cooldown), m.empty(now, cooldown); got != want {
					t.Fatalf("empty %v, want %v", got, want)
				}
			},
		})
	})
}
