package ipam_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
)

// interloper is a store in which somebody else acts once, right before a call of a given name that comes after another.
type interloper struct {
	*crashing
	after, before string
	act           func()
	seen          bool
}

func interlope(s *memstore.Store, after, before string, act func()) *crashing {
	i := &interloper{after: after, before: before, act: act}
	i.crashing = &crashing{Store: s, left: 1 << 30, onCall: i.look}
	return i.crashing
}

func (i *interloper) look(what string) {
	switch {
	case what == i.after:
		i.seen = true
	case what == i.before && i.seen && i.act != nil:
		act := i.act
		i.act = nil
		act()
	}
}

// TestAnAssignmentSurvivesWhatOthersDoBetweenItsTwoWrites lets others act after an assignment has counted and before it
// writes the block. Whatever they do, the store is sound afterwards, and no write names a row that nobody read.
func TestAnAssignmentSurvivesWhatOthersDoBetweenItsTwoWrites(t *testing.T) {
	giveBackAll := func(t *testing.T, s *memstore.Store) {
		t.Helper()
		a := &ipam.Allocator{Store: s, Now: s.Now}
		for i := range 4 {
			if _, err := a.ReleaseIfEmpty(context.Background(), "a", netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/30", 4*i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		act  func(*testing.T, *memstore.Store)
		want error
	}{
		"its container is deleted": {func(t *testing.T, s *memstore.Store) { mustRelease(t, s, "net.x") }, ipam.ErrReleased},
		"its block is given back":  {giveBackAll, nil},
		"its block is given back, and its container deleted": {func(t *testing.T, s *memstore.Store) {
			giveBackAll(t, s)
			mustRelease(t, s, "net.x")
		}, ipam.ErrReleased},
		"its block is given back, and all are claimed by others": {func(t *testing.T, s *memstore.Store) {
			giveBackAll(t, s)
			for _, node := range []string{"b", "c", "d", "e"} {
				mustAssign(t, s, only4(node, "net."+node))
			}
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			c2 := interlope(s, "create handle", "update block", func() { c.act(t, s) })
			_, err := assignWith(&ipam.Allocator{Store: c2, Now: s.Now, Parallel: 1}, only4("a", "net.x"))
			if !errors.Is(err, c.want) || errors.Is(err, memstore.ErrProtocol) || len(s.Check()) > 0 {
				t.Errorf("%v, want %v; broken: %v\n%s", err, c.want, s.Check(), s)
			}
			mustRelease(t, s, "net.x")
			if bad := s.Check(); len(bad) > 0 {
				t.Error(bad)
			}
		})
	}
}

// TestBlockThatIsCreatedAgainIsCheckedAgain has another process of the node give a block back and create it again, and another
// node create a larger block in between, while an assignment has the block as it was before.
func TestBlockThatIsCreatedAgainIsCheckedAgain(t *testing.T) {
	s := newStore()
	cidr, larger := netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("10.0.0.0/29")
	mustAssign(t, s, only4("a", "net.old"))
	act := func() {
		mustRelease(t, s, "net.old")
		if gone, err := (&ipam.Allocator{Store: s, Now: s.Now}).ReleaseIfEmpty(context.Background(), "a", cidr); err != nil || !gone {
			t.Fatalf("gone %v, %v", gone, err)
		}
		b := block.New(larger, "host:b", s.Now())
		b.Assign(block.Attribute{Handle: "net.b"}, nil)
		_, handle := s.Handles().Create(context.Background(), "net.b", ipam.Handle{ID: "net.b", Counts: map[netip.Prefix]int{larger: 1}})
		_, first := s.Blocks().Create(context.Background(), larger, b)
		_, claim := s.Affinities().Create(context.Background(), ipam.AffinityKey{Node: "a", CIDR: cidr}, ipam.Affinity{State: ipam.Pending})
		_, second := s.Blocks().Create(context.Background(), cidr, block.New(cidr, "host:a", s.Now()))
		if err := errors.Join(handle, first, claim, second); err != nil {
			t.Fatal(err)
		}
	}
	got, err := assignWith(&ipam.Allocator{Store: interlope(s, "create handle", "update block", act), Now: s.Now, Parallel: 1}, only4("a", "net.x"))
	if err != nil || larger.Contains(got[0].Addr) || len(s.Check()) > 0 {
		t.Errorf("%v, %v; broken: %v\n%s", got, err, s.Check(), s)
	}
}
