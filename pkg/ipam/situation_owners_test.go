// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"testing"
	"time"

	"calico-cni/pkg/ipam/memstore"
)

// owners are situations in which an ADD adopts the addresses of an earlier run, interfaces share a handle, or addresses
// have a cooldown.
func owners() map[string]situation {
	all := []verdict{twice, lost, late, refused}
	both := pools(ofPool("v4", "10.0.0.0/30", 31), ofPool("v6", "fd00::/126", 127))
	one := pools(ofPool("v4", "10.0.0.0/32", 32))
	return map[string]situation{
		"ADD fails beside a second run": actors(tiny,
			on("a", "fail x"),
			on("a", "assign x")),
		"ADD fails beside a second run, writes fail": actors(with(tiny, "other"),
			on("a", "fail x"),
			on("a", "assign x"),
			on("b", "assign y", "release y")).withFaults(all...).random(),
		"ADDs of both families fail beside other runs": actors(both,
			on("a", "dual x"),
			on("a", "dual x"),
			on("a", "release x"),
			on("b", "fail y")).random(),
		"second run of an ADD, and its DEL": actors(with(tiny, "x"),
			on("a", "assign x"),
			on("a", "fail x"),
			on("a", "release x")).random(),
		"second run of an ADD during a sweep": actors(with(tiny, "x"),
			on("a", "assign x"),
			on("gc", "sweep x", "collect x")),
		"sweep beside DEL and ADD": actors(with(one, "x"),
			on("a", "release x", "assign x"),
			on("gc", "sweep x"), on("b", "assign y", "release y")).random(),
		"interfaces of one container": actors(tiny,
			on("a", "assign x@eth0", "release x@eth0"),
			on("a", "assign x@eth1")),
		"interfaces of one container come and go": actors(with(tiny, "other"),
			on("a", "assign x@eth0", "release x@eth0", "assign x@eth0"),
			on("a", "assign x@eth1", "release x@eth1"),
			on("a", "fail x@eth2")).random(),
		"interfaces of one container, writes fail": actors(tiny,
			on("a", "assign x@eth0", "release x@eth0"),
			on("a", "assign x@eth1", "release x@eth1")).withFaults(all...).random(),
		"cooldown": actors(withCooldown(with(tiny, "old")),
			on("a", "release old", "assign x"),
			on("a", "fail y")),
		"cooldown, another node": actors(withCooldown(with(one, "old")),
			on("a", "release old"),
			on("b", "assign x", "release x"),
			on("b", "fail y"),
			on("a", "assign z")).random(),
		"cooldown, writes fail": actors(withCooldown(with(tiny, "old")),
			on("a", "release old", "assign x"),
			on("b", "fail y", "assign z", "release z")).withFaults(all...).random(),
		"cooldown, the clock is set": actors(withCooldown(with(tiny, "old")),
			on("a", "release old", "assign x", "release x"),
			on("b", "assign y", "release y")).withClock(3),
		"cooldown, the pool stops selecting a node": actors(
			withCooldown(with(pools(ofPool("v4", "10.0.0.0/30", 31), ofPool("zz", "10.1.0.0/31", 31)), "old")),
			on("a", "release old", "assign x"),
			on("b", "move", "assign y")).random(),
	}
}

// withCooldown prepares a store further: released addresses have a cooldown that ends during a run.
func withCooldown(prepare func(testing.TB, *memstore.Store)) func(testing.TB, *memstore.Store) {
	return func(t testing.TB, s *memstore.Store) {
		prepare(t, s)
		s.Settings.Cooldown = 15 * time.Second
	}
}
