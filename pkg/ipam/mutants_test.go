// SPDX-License-Identifier: Apache-2.0

package ipam_test

import "slices"

// mutant is a bug that a test plants in a copy of a source file. The file may be a test file, because the environment
// of the model also follows rules, such as the lifetime of cached blocks.
type mutant struct {
	name, file, correct, wrong string
	// always says that the mutant is planted without -mutants too.
	always bool
}

// mutants returns at least one bug for each rule of the protocol.
func mutants() []mutant {
	return slices.Concat(storeMutants(), allocatorMutants(), adoptMutants(), cooldownMutants(), overlapMutants(),
		nodeMutants(), recordMutants())
}

func storeMutants() []mutant {
	return []mutant{
		{
			name: "write without compare-and-swap", file: "memstore/table.go",
			correct: "case found.row.Rev != row.Rev:",
			wrong:   "case found.row.Rev != row.Rev && false:",
			always:  true,
		},
		{
			name: "delete without a precondition", file: "table.go",
			correct: "ignore(t.Delete(ctx, key, row), ErrNotFound)",
			wrong: "ignore(force(ctx, t, key, row), ErrNotFound)\n}\n\n" +
				"func force[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {\n" +
				"	if now, err := t.Get(ctx, key); err == nil {\n		row = now\n	}\n	return t.Delete(ctx, key, row)",
		},
		{
			name: "start the sequence numbers of a block at one", file: "block/block.go",
			correct: "Sequence:    now.UnixNano(),",
			wrong:   "Sequence:    1,",
		},
	}
}

func allocatorMutants() []mutant {
	return []mutant{
		{
			name: "create an affinity as confirmed", file: "affinity.go",
			correct: "create(ctx, t, key, Affinity{State: Pending})",
			wrong:   "create(ctx, t, key, Affinity{State: Confirmed})",
		},
		{
			name: "release without a check of the sequence number", file: "block/assign.go",
			correct: " || b.SequenceAt[o] != h.Sequence {",
			wrong:   " {",
		},
		{
			name: "count the handle after the block is written", file: "attempt.go",
			correct: "	if err := t.tally.add(ctx, places); err != nil {\n		return nil, err\n	}\n	u.Push(t.withdraw)",
			wrong:   "	defer func() { _ = t.tally.add(ctx, places) }()\n	u.Push(t.withdraw)",
		},
		{
			name: "take over a block that is in use", file: "takeover.go",
			correct: " && b.empty(x) && b",
			wrong:   " && b",
		},
		{
			name: "withdraw without a new revision of the block", file: "withdraw.go",
			correct: "r.releaseFrom(ctx, cidr, which, h.Counts[cidr])",
			wrong:   "r.releaseFrom(ctx, cidr, which, 0*h.Counts[cidr])",
		},
		{
			name: "release without a new revision of the block", file: "release.go",
			correct: "if len(out.addrs) == 0 && kept >= counted {",
			wrong:   "if len(out.addrs) == 0 {",
		},
		{
			name: "count down after a conflict", file: "handle.go",
			correct: "	if len(row.Value.Counts) == 0 {\n		return ignore(remove",
			wrong: "	if len(row.Value.Counts) == 0 {\n" +
				"		if now, err := t.Get(ctx, id); err == nil {\n			row.Rev = now.Rev\n		}\n" +
				"		return ignore(remove",
		},
		{name: "do not withdraw after a failure", file: "attempt.go", correct: "	u.Push(t.withdraw)\n", wrong: ""},
		{
			name: "touch a handle without a change", file: "tally.go",
			correct: "		h.Touches++\n",
			wrong:   "",
			always:  true,
		},
		{
			name: "touch the handle of another assignment", file: "handle.go",
			correct: "row.UID != uid || ",
			wrong:   "",
		},
		{
			name: "do not recognize an own write", file: "rewrite.go",
			correct: "heldAlready(row.Value, p.want); ok {",
			wrong:   "heldAlready(row.Value, p.want); ok && false {",
		},
		{
			name: "do not reopen an affinity that is marked for deletion", file: "affinity.go",
			correct: "if affinity.Value.State == PendingDeletion {",
			wrong:   "if affinity.Value.State == PendingDeletion && false {",
		},
	}
}

// adoptMutants break the rules for an ADD that finds the addresses of an earlier run.
func adoptMutants() []mutant {
	return []mutant{
		{
			name: "adopt addresses without a write", file: "attempt.go",
			correct: "	if adopted, err := t.adopt(ctx, held); err != nil || !adopted {\n		return nil, err\n	}\n",
			wrong:   "",
		},
		{
			name: "adopt the addresses of another attachment", file: "attempt.go",
			correct: " || !t.request.SameAttachment(h.Owner)",
			wrong:   "",
		},
		{
			name: "adopt an address that was released", file: "adopt.go",
			correct: "b.Reassign(h.Holding, owner); !ok {\n			return nil",
			wrong:   "b.Reassign(h.Holding, owner); !ok {\n			done = true\n			return nil",
		},
		{
			name: "release adopted addresses when an ADD fails", file: "attempt.go",
			correct: "	if t.adopting {",
			wrong:   "	if t.adopting && false {",
		},
		{
			name: "lower the handle after an adoption", file: "attempt.go",
			correct: "	return got, nil\n}\n\n// writeAll",
			wrong: "	err = t.tally.handles.countDown(ctx, t.tally.id, t.tally.row, t.tally.counted)\n" +
				"	return got, err\n}\n\n// writeAll",
		},
		{
			name: "keep the handle of a lost answer", file: "attempt.go",
			correct: "	u.Push(func(ctx context.Context) error { return t.releases.dropUnused(ctx, t.request.Handle) })\n",
			wrong:   "",
		},
		{
			name: "delete an unused handle without a new revision of its blocks", file: "withdraw.go",
			correct: "		row.Value.Sequence++\n		if _, err := r.backend.store.Blocks().Update(ctx, cidr, row); err != nil {\n" +
				"			return ignore(err, ErrConflict, ErrNotFound)\n		}\n",
			wrong: "",
		},
		{
			name: "lower the count of an adopted address", file: "rewrite.go",
			correct: "	case adopted:",
			wrong:   "	case adopted && false:",
		},
		{
			name: "withdraw the count of an adopted address", file: "tally.go",
			correct: "	t.row = row\n	t.moved(from, to)\n	return nil\n}\n\n// moved",
			wrong:   "	t.row = row\n	t.counted[to]++\n	return nil\n}\n\n// moved",
		},
		{
			name: "keep the sequence number of an adopted address", file: "block/assign.go",
			correct: "	setSequence(b, o)\n	compact(b)",
			wrong:   "	compact(b)",
		},
	}
}

// cooldownMutants break the rules for cooldowns and for times that are compared with the clock.
func cooldownMutants() []mutant {
	return []mutant{
		{
			name: "end the cooldowns of a block when an assignment is reverted", file: "release.go",
			correct: "b.Thaw(r.backend.now(), r.backend.cooldown)",
			wrong:   "b.Thaw(r.backend.now(), which.cooldown)",
		},
		{
			name: "wait for the end of a cooldown that began in the future", file: "block/attribute.go",
			correct: "now.Sub(a.ReleasedAt).Abs() >= cooldown",
			wrong:   "now.Sub(a.ReleasedAt) >= cooldown",
		},
		{
			name: "keep a block that was claimed in the future", file: "takeover.go",
			correct: ".Abs() > idleAfter",
			wrong:   " > idleAfter",
		},
		{
			name: "take over a block that was claimed just now", file: "takeover.go",
			correct: " && b.now().Sub(x.ClaimTime).Abs() > idleAfter",
			wrong:   "",
		},
		{
			name: "keep a block whose cooldowns are over", file: "block/block.go",
			correct: " && !b.Attributes[a].cooled(now, cooldown) {",
			wrong:   " {",
		},
		{
			name: "release a block during a cooldown", file: "backend.go",
			correct: "x.Empty(b.now(), b.cooldown)",
			wrong:   "x.Empty(b.now(), 0)",
		},
		{
			name: "count cooldowns that are over as unavailable", file: "place.go",
			correct: "	b = b.Clone()\n	b.Thaw(p.now(), p.cooldown)\n	return b\n",
			wrong:   "	return b\n",
		},
	}
}

// overlapMutants break the check for overlapping blocks.
func overlapMutants() []mutant {
	return []mutant{
		{
			name: "release an overlapping block without marking its affinity", file: "takeover.go",
			correct: "if row.Value.Affinity != \"\" {\n		return t.releases.release(",
			wrong:   "if false {\n		return t.releases.release(",
		},
		{
			name: "claim a block without the check", file: "claim.go",
			correct: "overlap := c.overlaps.check(ctx, affinity.Key.CIDR)",
			wrong:   "overlap := error(nil)",
		},
		{
			name: "use a block of the node without the check", file: "plan.go",
			correct: "if at.checked || ",
			wrong:   "if true || at.checked || ",
		},
		{
			name: "trust a cached block whose size is not that of its pool", file: "plan.go",
			correct: "p.overlaps.passed(at.row) && p.pools.fits(at.cidr)",
			wrong:   "p.overlaps.passed(at.row)",
		},
		{
			name: "trust a cached block that was created again", file: "overlap.go",
			correct: "cached.UID != \"\" && cached.UID == row.UID && ",
			wrong:   "",
		},
		{
			name: "trust a block that was created again", file: "rewrite.go",
			correct: "case row.UID != before.UID, row.Value",
			wrong:   "case row.Value",
		},
		{
			name: "allocate a requested address without the check", file: "requested.go",
			correct: "err = f.plan.overlaps.check(ctx, cidr)",
			wrong:   "err = nil",
		},
		{
			name: "check only a requested address of another node's block for overlap", file: "requested.go",
			correct: "err = f.plan.overlaps.check(ctx, cidr)",
			wrong: "var parts []netip.Prefix\n		parts, err = f.backend.store.BlocksOverlapping(ctx, " +
				"netip.PrefixFrom(w.Addr, w.Addr.BitLen()))\n		if err == nil && len(parts) > 1 {\n			" +
				"err = f.plan.overlaps.check(ctx, cidr)\n		}",
		},
		{
			name: "allocate the broadcast address of a subnet", file: "place.go",
			correct: "return addr == subnet.Addr() || addr.Is4() && !subnet.Contains(addr.Next())",
			wrong:   "return addr == subnet.Addr()",
		},
		{
			name: "allocate a requested address before the affinity is confirmed", file: "requested.go",
			correct: "known && affinity.Value.State != Confirmed {",
			wrong:   "known && affinity.Key.Node == \"\" {",
		},
		{
			name: "borrow from a block of the node that has no affinity", file: "usedblocks.go",
			correct: "if b.Affinity == hostAffinity(u.plan.own.node) {",
			wrong:   "if false {",
		},
		{
			name: "delete an ownerless block that another process has written", file: "takeover.go",
			correct: "err := remove(ctx, t.backend.store.Blocks(), row.Value.CIDR, row)",
			wrong: "now, err := get(ctx, t.backend.store.Blocks(), row.Value.CIDR)\n	if err == nil {\n		" +
				"err = remove(ctx, t.backend.store.Blocks(), row.Value.CIDR, now)\n	}",
		},
	}
}

// nodeMutants break the rules for the block cache, and for records after a restore.
func nodeMutants() []mutant {
	return []mutant{
		{
			name: "trust a cached block without addresses of the handle", file: "release.go",
			correct: "if len(out.addrs) == 0 && fromCache {",
			wrong:   "if false && fromCache {",
		},
		{
			name: "trust a cached block that is full", file: "planown.go",
			correct: "if ok && p.picker.room(place{want: w, cidr: cidr, row: row}) == nil {",
			wrong:   "if ok {",
		},
		{
			name: "allocate from an empty cached block without a look at its affinity", file: "planown.go",
			correct: "case gone, err == nil && fromCache && row.Value.Empty(n.backend.now(), 0):",
			wrong:   "case gone:",
		},
		{
			name: "allocate from a cached block whose affinity is not confirmed", file: "view.go",
			correct: "if verify && v.FromCache && slices",
			wrong:   "if false && slices",
		},
		{
			name: "repair affinities only if no other block has room", file: "plan.go",
			correct: "return a.urgency() - b.urgency()",
			wrong:   "return 0",
		},
		{
			name: "keep cached blocks after the store is restored", file: "model_test.go",
			correct: "	m.caches.expire()\n",
			wrong:   "",
		},
		{
			name: "keep records of deletions after the store is restored", file: "model_test.go",
			correct: "	m.records.expire()\n",
			wrong:   "",
		},
		{
			name: "reload a cached block without a write to the handle", file: "attempt.go",
			correct: "return t.tally.confirm(ctx, places)",
			wrong:   "return nil",
		},
	}
}

// recordMutants break the rules for the records of deletions and the queue of releases.
func recordMutants() []mutant {
	return []mutant{
		{
			name: "complete a record during an ADD", file: "records_test.go",
			correct: "	if all && undisturbed {",
			wrong:   "	if all {",
		},
		{
			name: "complete a record although the handle was not found", file: "records_test.go",
			correct: "	if all && undisturbed {",
			wrong:   "	if (all || true) && undisturbed {",
		},
		{
			name: "complete a record of another DEL", file: "records_test.go",
			correct: "func() error { mine.complete = true; return nil }",
			wrong:   "func() error { r.files[handle] = &record{complete: true}; return nil }", always: true,
		},
		{
			name: "keep the record of an earlier DEL", file: "records_test.go",
			correct: "func() error { delete(r.files, handle); return nil }",
			wrong:   "func() error { return nil }",
		},
		{
			name: "treat an interrupted ADD as finished", file: "records_test.go",
			correct: `len(k.adding) == 0 && k.ended == "succeeded"`,
			wrong:   "len(k.adding) == 0 || k.adding[0].crashed",
		},
		{
			name: "queue a release after an ADD has begun", file: "recordqueue_test.go",
			correct: "		if r.files[handle] == mine {",
			wrong:   "		if true || r.files[handle] == mine {",
		},
		{
			name: "allocate before the queued release of the handle is settled", file: "records_test.go",
			correct: "		err = r.settleOwn(a, handle, settleOwn)\n",
			wrong:   "		_ = r.settleOwn\n",
		},
		{
			name: "settle a queued release without the lock", file: "recordqueue_test.go",
			correct: "	err := r.lock(a, handle)\n	if err == nil {\n		err = r.settleLocked",
			wrong:   "	err := error(nil)\n	if err == nil {\n		err = r.settleLocked",
		},
	}
}
