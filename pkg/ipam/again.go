package ipam

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"calico-cni/pkg/ipam/block"
)

// again returns what an earlier run of the same request holds, if that is what is wanted: its answer may have got lost, or
// its process may have been killed. It returns nil when there is no such thing, as for every new attachment, whose handle
// counts only what this request has just counted.
func (s *search) again(ctx context.Context) ([]Assigned, error) {
	if s.request.Again == nil || maps.Equal(s.handle.Value.Counts, s.counted) {
		return nil, nil
	}
	held, err := s.a.heldIn(ctx, slices.Collect(maps.Keys(s.handle.Value.Counts)))
	if err != nil {
		return nil, err
	}
	held = slices.DeleteFunc(held, func(h Held) bool {
		return !block.SameHandle(h.Handle, s.request.Handle) || !s.request.Again(h.Owner)
	})
	got := match(s.request.Wants, held)
	if got == nil {
		return nil, nil
	}
	s.handle, err = s.a.countDown(ctx, s.request.Handle, s.handle, s.counted)
	s.counted = map[netip.Prefix]int{}
	return got, err
}

// match returns the one holding of each want, in the order of the wants, or nil when that is not what is held.
func match(wants []Want, held []Held) []Assigned {
	if len(held) != len(wants) {
		return nil
	}
	var got []Assigned
	for _, w := range wants {
		i := slices.IndexFunc(held, func(h Held) bool {
			return h.Addr.Is6() == w.IPv6 && (!w.Addr.IsValid() || w.Addr == h.Addr)
		})
		if i < 0 {
			return nil
		}
		got = append(got, Assigned{Addr: held[i].Addr, Block: held[i].Block, Again: true})
	}
	return got
}
