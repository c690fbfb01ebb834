// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// script has the operations of one actor:
//
//	assign H [POOL or ADDRESS]   ADD with an IPv4 address
//	dual H                       ADD with an address of each family
//	fail H                       ADD with an IPv4 address that fails in a later step and reverts the assignment
//	release H                    DEL
//	collect H                    garbage collection, which releases the address that it read before the run
//	sweep H                      the same with all addresses of the handle that have not changed their owner
//	queue H                      DEL without a connection to the server, which queues the release
//	settle H                     another process settles the queued release
//	move                         the pool stops selecting any node
//	resize N                     the pool is created again with another block size
//	restore                      the store returns to its state before the run
type script struct {
	node string
	ops  []string
}

// situation is an initial store, and the actors that use it.
type situation struct {
	prepare func(testing.TB, *memstore.Store)
	scripts []script
	// many says that there are too many interleavings to try all of them. Only random ones are tried.
	many bool
	// faults are the ways in which writes may fail, clockSteps is how often the clock may be set.
	faults     []verdict
	clockSteps int
	// records says that ADDs and DELs keep records on the node, so that repeated DELs make no request.
	records bool
	// lockWait says that an ADD may wait for the node's lock in exhaustive runs too.
	lockWait bool
}

func (s situation) withFaults(kinds ...verdict) situation { s.faults = kinds; return s }
func (s situation) withClock(steps int) situation         { s.clockSteps, s.many = steps, true; return s }
func (s situation) withRecords() situation                { s.records = true; return s }
func (s situation) withLockWait() situation               { s.lockWait = true; return s }
func (s situation) random() situation                     { s.many = true; return s }

func on(node string, ops ...string) script { return script{node, ops} }

func actors(prepare func(testing.TB, *memstore.Store), scripts ...script) situation {
	return situation{prepare: prepare, scripts: scripts}
}

// tiny is a pool of two blocks of two addresses.
func tiny(_ testing.TB, s *memstore.Store) {
	s.IPPools = []pool.Pool{{Name: "v4", CIDR: netip.MustParsePrefix("10.0.0.0/30"), BlockSize: 31}}
}

func pools(list ...pool.Pool) func(testing.TB, *memstore.Store) {
	return func(_ testing.TB, s *memstore.Store) { s.IPPools = list }
}

func ofPool(name, cidr string, blockSize int) pool.Pool {
	return pool.Pool{Name: name, CIDR: netip.MustParsePrefix(cidr), BlockSize: blockSize}
}

// with prepares a store further: node a allocates an address for each handle.
func with(prepare func(testing.TB, *memstore.Store), handles ...string) func(testing.TB, *memstore.Store) {
	return func(t testing.TB, s *memstore.Store) {
		prepare(t, s)
		for _, h := range handles {
			mustAssign(t, s, only4("a", "net."+h))
		}
	}
}

func situations() map[string]situation {
	out := map[string]situation{}
	for _, group := range []map[string]situation{orders(), failures(), containers(), owners(), shapes()} {
		for name, sit := range group {
			out[name] = sit
		}
	}
	return out
}

// orders are situations without faults.
func orders() map[string]situation {
	return map[string]situation{
		"two nodes claim their first blocks": actors(tiny, on("a", "assign x"), on("b", "assign y")),
		"two pods of one node": actors(tiny,
			on("a", "assign x", "release x"),
			on("a", "assign y")),
		"assign and release of one handle": actors(tiny,
			on("a", "assign x", "release x"),
			on("a", "release x")),
		"three nodes, two blocks": actors(tiny,
			on("a", "assign x", "release x"),
			on("b", "assign y"),
			on("c", "assign z", "release z")).random(),
		"a block is taken over while its owner uses it": actors(func(t testing.TB, s *memstore.Store) {
			tiny(t, s)
			s.Settings.StrictAffinity = true
			mustAssign(t, s, only4("b", "net.b1"))
			mustAssign(t, s, only4("a", "net.a1"))
			mustAssign(t, s, only4("a", "net.a2"))
			mustRelease(t, s, "net.b1")
		}, on("a", "assign x"), on("b", "assign y", "release y")),
		"garbage collection uses a stale read": actors(with(pools(ofPool("v4", "10.0.0.0/32", 32)), "x"),
			on("a", "release x", "assign x"), on("gc", "collect x")),
		"dual stack, few addresses": actors(pools(ofPool("v4", "10.0.0.0/31", 31), ofPool("v6", "fd00::/126", 127)),
			on("a", "dual x", "release x"), on("b", "dual y", "release y"), on("a", "dual z")).random(),
		"reservations leave one address of two": actors(func(t testing.TB, s *memstore.Store) {
			tiny(t, s)
			s.Reserved = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("10.0.0.2/32")}
		}, on("a", "assign x", "release x"), on("b", "assign y"), on("b", "assign z", "release z")).random(),
		"the pool stops selecting a node": actors(
			with(pools(ofPool("v4", "10.0.0.0/30", 31), ofPool("zz", "10.1.0.0/31", 31)), "old"),
			on("a", "release old", "assign x"), on("b", "move", "assign y")),
	}
}

// failures are situations in which requests fail, the clock is set, or the store is restored.
func failures() map[string]situation {
	all := []verdict{twice, lost, late, refused}
	churn := []script{on("a", "assign x", "release x"), on("a", "assign y")}
	return map[string]situation{
		"writes fail on one node": actors(tiny, churn...).withFaults(all...),
		"writes fail, another node": actors(with(tiny, "old"),
			on("a", "release old", "assign x"),
			on("b", "assign y", "release y")).withFaults(all...).random(),
		"writes fail in both families": actors(pools(ofPool("v4", "10.0.0.0/31", 31), ofPool("v6", "fd00::/127", 127)),
			on("a", "dual x"),
			on("b", "dual y", "release y")).withFaults(all...).random(),
		"writes fail during garbage collection": actors(with(pools(ofPool("v4", "10.0.0.0/32", 32)), "x"),
			on("a", "release x", "assign x"), on("gc", "collect x")).withFaults(all...).random(),
		"the clock is set": actors(with(tiny, "old"),
			on("a", "release old", "assign x"),
			on("b", "assign y", "release y"),
			on("a", "assign z")).withClock(3),
		"the clock is set, garbage collection": actors(with(pools(ofPool("v4", "10.0.0.0/32", 32)), "x"),
			on("a", "release x", "assign x", "release x", "assign x"),
			on("gc", "collect x"),
			on("b", "assign y", "release y")).withClock(3),
		"the clock is set while blocks are taken over": actors(func(t testing.TB, s *memstore.Store) {
			s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/32", 32)}
			s.Settings.StrictAffinity = true
			mustAssign(t, s, only4("a", "net.x"))
		},
			on("a", "release x", "assign x", "release x"),
			on("b", "assign y", "release y"),
			on("gc", "collect x"),
			on("a", "assign x")).withClock(4),
		"the store is restored": actors(with(tiny, "old"),
			on("a", "assign x", "release x"),
			on("operator", "restore"),
			on("b", "assign y", "release y"), on("a", "release old", "assign z")).random(),
		// After the restore the block gets the same revisions again, with other contents.
		"revisions repeat after a restore": actors(with(pools(ofPool("v4", "10.0.0.0/30", 30)), "old"),
			on("a", "assign x"),
			on("operator", "restore"),
			on("a", "assign y"),
			on("a", "assign z")).random(),
		"the store is restored, one node": actors(with(tiny, "old"),
			on("a", "release old", "assign x"),
			on("operator", "restore"),
			on("a", "assign y")).random(),
	}
}
