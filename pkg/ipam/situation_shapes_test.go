// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"net/netip"
	"testing"

	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
)

// containers are situations in which the ADDs and DELs of one container overlap.
func containers() map[string]situation {
	return map[string]situation{
		"ADD and DEL overlap beside another pod": actors(with(tiny, "other"),
			on("a", "assign x"),
			on("a", "release x")),
		"ADD, DEL and ADD overlap": actors(tiny,
			on("a", "assign x"),
			on("a", "release x", "assign x"),
			on("a", "release x")).random(),
		"two ADDs and a DEL overlap": actors(with(tiny, "other"),
			on("a", "assign x"),
			on("a", "assign x"),
			on("a", "release x")).random(),
		"ADD waits for the node's lock, and its DEL does not": actors(with(tiny, "other"),
			on("a", "assign x"),
			on("a", "release x")).withLockWait(),
		"ADD and DEL of both families overlap": actors(
			pools(ofPool("v4", "10.0.0.0/31", 31), ofPool("v6", "fd00::/127", 127)),
			on("a", "dual x"),
			on("a", "release x")),
		"ADDs and DELs of both families overlap": actors(
			pools(ofPool("v4", "10.0.0.0/30", 31), ofPool("v6", "fd00::/126", 127)),
			on("a", "dual x", "release x"),
			on("a", "release x"), on("b", "dual y")).random(),
		"queued release settled during an ADD": actors(with(tiny, "x"),
			on("a", "queue x"),
			on("a", "settle x"),
			on("a", "assign x")).withRecords(),
		"DEL queued during an ADD": actors(with(tiny, "x"),
			on("a", "queue x", "settle x"),
			on("a", "assign x", "settle x")).withRecords().random(),
		"queued releases, writes fail": actors(with(tiny, "x"),
			on("a", "queue x", "settle x", "settle x"),
			on("a", "assign x", "queue x", "assign x"), on("b", "assign y", "release y")).
			withRecords().withFaults(twice, lost, late, refused).random(),
		"queued releases after a restore": actors(with(tiny, "x"),
			on("a", "queue x", "settle x", "assign x"),
			on("operator", "restore"),
			on("a", "settle x")).withRecords().random(),
		"repeated DELs": actors(with(tiny, "x"),
			on("a", "release x"),
			on("a", "release x", "assign x")).withRecords(),
		"repeated DELs with ADDs between them": actors(tiny,
			on("a", "assign x", "release x"),
			on("a", "release x", "release x"),
			on("a", "assign x")).withRecords().random(),
		"repeated DELs, writes fail": actors(with(tiny, "x"),
			on("a", "assign x", "release x"),
			on("a", "release x", "release x")).
			withRecords().withFaults(lost, late, refused).random(),
		"repeated DELs after a restore": actors(with(tiny, "x"),
			on("a", "release x", "release x"),
			on("operator", "restore"),
			on("a", "assign x")).withRecords().random(),
	}
}

// shapes are situations in which blocks of several sizes overlap.
func shapes() map[string]situation {
	v4 := ofPool("v4", "10.0.0.0/30", 31)
	nested := pools(v4, ofPool("inner", "10.0.0.0/31", 32))
	return map[string]situation{
		"larger blocks": actors(pools(v4),
			on("a", "assign x"),
			on("operator", "resize 30"),
			on("b", "assign y", "release y")),
		"smaller blocks": actors(pools(ofPool("v4", "10.0.0.0/30", 30)),
			on("a", "assign x", "release x"),
			on("operator", "resize 31"), on("b", "assign y", "release y")).random(),
		"smaller blocks while one is in use": actors(with(pools(ofPool("v4", "10.0.0.0/30", 30)), "old"),
			on("a", "assign x", "release old"),
			on("operator", "resize 32"),
			on("b", "assign y", "release y"),
			on("a", "assign z")).random(),
		"block sizes change twice": actors(with(pools(v4), "old"), on("a", "release old", "assign x"),
			on("operator", "resize 30", "resize 31"),
			on("b", "assign y", "release y"),
			on("c", "assign z")).random(),
		"specific address after a resize": actors(with(pools(v4), "old"),
			on("a", "assign x", "release x"),
			on("operator", "resize 30"),
			on("b", "assign y 10.0.0.1", "release y"), on("c", "assign z 10.0.0.2")).random(),
		"specific address after two resizes": actors(with(pools(ofPool("v4", "10.0.0.0/30", 30)), "old"),
			on("a", "release old", "assign x"),
			on("operator", "resize 31", "resize 30"),
			on("b", "assign y"),
			on("c", "assign z 10.0.0.3", "release z"), on("a", "assign w")).random(),
		"a block without owner is taken over": actors(withoutOwner,
			on("b", "assign y"),
			on("c", "assign z", "release z")),
		"a block without owner is taken over, writes fail": actors(withoutOwner,
			on("b", "assign y", "release y"),
			on("c", "assign z")).withFaults(twice, lost, late, refused).random(),
		"nested pools": actors(nested,
			on("a", "assign x v4", "release x"),
			on("b", "assign y inner", "release y"),
			on("c", "assign z v4")).random(),
		"nested pools, specific address": actors(nested,
			on("a", "assign x 10.0.0.1"),
			on("b", "assign y inner"),
			on("c", "assign z v4", "release z")).random(),
		"empty blocks of another size are taken over": actors(idleOfOldSize(31, 30),
			on("b", "assign y"),
			on("a", "assign x", "release x")),
		"larger empty blocks are taken over": actors(idleOfOldSize(30, 31),
			on("b", "assign y", "release y"),
			on("a", "assign x"),
			on("c", "assign z", "release z")).random(),
		"empty blocks of another size are taken over, writes fail": actors(idleOfOldSize(31, 30),
			on("b", "assign y", "release y"),
			on("a", "assign x", "release x"),
			on("c", "assign z")).withFaults(twice, lost, late, refused).random(),
		"larger blocks, writes fail": actors(with(pools(v4), "old"),
			on("a", "release old", "assign x"),
			on("operator", "resize 30"),
			on("b", "assign y", "release y")).withFaults(twice, lost, late, refused).random(),
		"larger blocks, the store is restored": actors(with(pools(v4), "old"),
			on("a", "release old", "assign x"),
			on("operator", "resize 30", "restore"), on("b", "assign y", "release y")).random(),
	}
}

// withoutOwner prepares a pool of one empty block, whose affinity was removed while an address was in use.
func withoutOwner(t testing.TB, s *memstore.Store) {
	s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/31", 31)}
	cidr := netip.MustParsePrefix("10.0.0.0/31")
	if _, err := s.Blocks().Create(t.Context(), cidr, block.New(cidr, "", s.Now())); err != nil {
		t.Fatal(err)
	}
}

// idleOfOldSize prepares a pool of which node b has all blocks, empty, in the size that the pool had before.
func idleOfOldSize(old, blockSize int) func(testing.TB, *memstore.Store) {
	return func(t testing.TB, s *memstore.Store) {
		s.IPPools = []pool.Pool{ofPool("v4", "10.0.0.0/30", old)}
		s.Settings.StrictAffinity = true
		for addr, n := netip.MustParseAddr("10.0.0.0"), 0; n < 4; addr, n = addr.Next(), n+1 {
			if n%(1<<(32-old)) == 0 {
				put(t, s, "b", netip.PrefixFrom(addr, old).String(), 0)
			}
		}
		s.IPPools[0].BlockSize = blockSize
	}
}
