// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"testing"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/fake"
	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/agent/kernel/nat"
	"calico-cni/pkg/agent/kernel/nft"
	"calico-cni/pkg/netstate"
)

// tables is nftables with what another program does to it.
type tables struct {
	kernel nat.Kernel
	flush  func()
}

func onBothTables(t *testing.T, test func(t *testing.T, newTables func(*testing.T) tables)) {
	t.Run("fake", func(t *testing.T) {
		test(t, func(*testing.T) tables {
			r := fake.NewRuleset()
			return tables{r, r.Flush}
		})
	})
	t.Run("kernel", func(t *testing.T) {
		test(t, func(t *testing.T) (found tables) {
			ns := nettest.NewNetNS(t)
			ns.Do(func() {
				c, err := nft.Open()
				must(t, err)
				t.Cleanup(c.Close)
				found.kernel = c
			})
			found.flush = func() {
				ns.Do(func() {
					if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
						t.Fatalf("nft: %v: %s", err, out)
					}
				})
			}
			return found
		})
	})
}

// meteredTable counts transactions and lets one call fail.
type meteredTable struct {
	k nat.Kernel
	m *meter
}

func (m meteredTable) Generation() (uint32, error) {
	if err := m.m.call(false); err != nil {
		return 0, err
	}
	return m.k.Generation()
}

func (m meteredTable) Read(prefixes []string) (nft.Ruleset, error) {
	if err := m.m.call(false); err != nil {
		return nft.Ruleset{}, err
	}
	return m.k.Read(prefixes)
}

func (m meteredTable) Commit(tx nft.Transaction) error {
	if err := m.m.call(true); err != nil {
		return err
	}
	return m.k.Commit(tx)
}

// randomConfig returns a configuration. Small value ranges make two of them overlap.
func randomConfig(r *rand.Rand) (c nat.Config) {
	c.NAT.Interface, c.NAT.ReservedPort, c.Workloads = someOf(r, "", "eth0", "eth+", "+"), 4789, []string{"cali"}
	if r.IntN(2) == 0 {
		c.NAT.Ports = netstate.PortRange{First: someOf[uint16](r, 1024, 4789), Last: someOf[uint16](r, 4789, 60000)}
	}
	for _, f := range []struct {
		family     *netstate.FamilyNAT
		dev        string
		pool, node string
	}{{&c.NAT.IPv4, link.VXLANv4, "10.%d.0.0/16", "198.18.0.%d"}, {&c.NAT.IPv6, link.VXLANv6, "fd00:%d::/32", "2001:db8::%d"}} {
		var senders []netip.Prefix
		for i := range 6 {
			pool, addr := netip.MustParsePrefix(fmt.Sprintf(f.pool, i+1)), netip.MustParseAddr(fmt.Sprintf(f.node, i+1))
			if r.IntN(2) == 0 {
				f.family.Exclusions = append(f.family.Exclusions, pool)
			}
			if r.IntN(4) == 0 {
				f.family.Sources = append(f.family.Sources, netip.PrefixFrom(pool.Addr(), pool.Bits()+r.IntN(3)))
			}
			if r.IntN(2) == 0 {
				senders = append(senders, netip.PrefixFrom(addr, addr.BitLen()))
			}
		}
		if r.IntN(4) == 0 {
			f.family.Addr = netip.MustParseAddr(fmt.Sprintf(f.node, 99))
		}
		if r.IntN(4) == 0 {
			f.family.Exclusions = append(f.family.Exclusions, netip.PrefixFrom(netip.MustParseAddr(fmt.Sprintf(f.node, 1)), 0).Masked())
		}
		if r.IntN(2) == 0 {
			f.family.Tunnels = append(f.family.Tunnels, netstate.TunnelSource{Dev: f.dev})
			c.Filters = append(c.Filters, netstate.TunnelFilter{
				Dev: f.dev, Kind: netstate.VXLAN, Port: 4789, VNI: someOf(r, 4096, 1), Senders: senders,
			})
		}
	}
	if r.IntN(2) == 0 {
		c.Filters = append(c.Filters, netstate.TunnelFilter{
			Dev: link.IPIPv4, Kind: netstate.IPIP, Senders: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24")},
		})
	}
	return c
}

// inForce applies a configuration, and then checks that a new process finds it.
func inForce(t *testing.T, d *nat.Driver, k nat.Kernel, c nat.Config) {
	t.Helper()
	// The second run remembers the generation.
	for range 2 {
		if r := d.Apply(context.Background(), c); r.Err != nil {
			t.Fatalf("apply: %v", r.Err)
		}
	}
	m := &meter{}
	fresh := &nat.Driver{Kernel: meteredTable{k, m}}
	if r := fresh.Apply(context.Background(), c); r.Err != nil || m.writes != 0 {
		t.Fatalf("a new process made %d writes (%v)", m.writes, r.Err)
	}
	want := nat.Render(c)
	got, err := k.Read([]string{"nat-", "tunnel-"})
	must(t, err)
	if tx, differs := nat.Diff(got, want); differs {
		t.Fatalf("the kernel differs from the configuration: %+v", tx)
	}
}

func TestTableConvergesFromAnyState(t *testing.T) {
	onBothTables(t, func(t *testing.T, newTables func(*testing.T) tables) {
		for seed := range rounds(t) {
			r, n := rand.New(rand.NewPCG(uint64(seed), 5)), newTables(t)
			d := &nat.Driver{Kernel: n.kernel}
			for range 6 {
				inForce(t, d, n.kernel, randomConfig(r))
				if r.IntN(3) == 0 {
					n.flush()
				}
			}
		}
	})
}

func TestTableUnchangedMakesOneCheapCall(t *testing.T) {
	onBothTables(t, func(t *testing.T, newTables func(*testing.T) tables) {
		n, m := newTables(t), &meter{}
		d := &nat.Driver{Kernel: meteredTable{n.kernel, m}}
		c := randomConfig(rand.New(rand.NewPCG(1, 6)))
		for range 2 {
			if r := d.Apply(context.Background(), c); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		before := m.calls
		if r := d.Apply(context.Background(), c); r.Writes != 0 || m.calls != before+1 {
			t.Errorf("a run with nothing changed made %d calls and %d writes", m.calls-before, r.Writes)
		}
		n.flush()
		if r := d.Apply(context.Background(), c); r.Writes != 1 {
			t.Errorf("after another program has flushed the ruleset: %+v", r)
		}
	})
}

func TestTableConvergesAfterEachCallFailsOnce(t *testing.T) {
	onBothTables(t, func(t *testing.T, newTables func(*testing.T) tables) {
		for failing := 1; ; failing++ {
			r, n := rand.New(rand.NewPCG(7, 7)), newTables(t)
			inForce(t, &nat.Driver{Kernel: n.kernel}, n.kernel, randomConfig(r))
			m, c := &meter{failAt: failing}, randomConfig(r)
			d := &nat.Driver{Kernel: meteredTable{n.kernel, m}}
			report := d.Apply(context.Background(), c)
			if m.calls < failing {
				return
			}
			if report.Err == nil {
				t.Fatalf("call %d failed, and the report has no error", failing)
			}
			inForce(t, d, n.kernel, c)
		}
	})
}

func TestTableKeepsChainsOfOtherDrivers(t *testing.T) {
	onBothTables(t, func(t *testing.T, newTables func(*testing.T) tables) {
		r, n := rand.New(rand.NewPCG(1, 8)), newTables(t)
		d := &nat.Driver{Kernel: n.kernel}
		inForce(t, d, n.kernel, randomConfig(r))
		other := nft.Chain{Name: "policy-x", Rules: []nft.Rule{nft.NewRule("drop", []nft.Expr{nft.Drop()})}}
		must(t, n.kernel.Commit(nft.Transaction{Chains: []nft.Chain{other}}))
		for range 5 {
			inForce(t, d, n.kernel, randomConfig(r))
		}
		inForce(t, d, n.kernel, nat.Config{})
		got, err := n.kernel.Read([]string{""})
		must(t, err)
		if len(got.Chains) != 1 || len(got.Sets) != 0 || got.Chains[0].Name != other.Name {
			t.Errorf("the table has %+v, want the chain of the other driver only", got)
		}
		must(t, n.kernel.Commit(nft.Transaction{DeleteTable: true}))
		if got, err := n.kernel.Read([]string{""}); err != nil || len(got.Chains) != 0 {
			t.Errorf("after the deletion the table has %+v (%v)", got, err)
		}
	})
}
