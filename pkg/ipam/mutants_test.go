package ipam_test

import "slices"

// mutant is a bug planted in a source file, in a copy that only the compiler sees. A file may be a test: the model's
// environment follows rules too, such as for how long a memory counts.
type mutant struct {
	name, file, correct, wrong string
	// always says that it is planted without -mutants too.
	always bool
}

// mutants are the bugs that a protocol like this is prone to, one or more for each of its rules.
func mutants() []mutant {
	return slices.Concat(storeMutants(), allocatorMutants(), overlapMutants(), nodeMutants())
}

func storeMutants() []mutant {
	return []mutant{
		{
			name: "drop compare-and-swap", file: "memstore/table.go",
			correct: "case found.row.Rev != row.Rev:",
			wrong:   "case found.row.Rev != row.Rev && false:",
			always:  true,
		},
		{
			name: "delete what has changed since", file: "table.go",
			correct: "ignore(t.Delete(ctx, key, row), ErrNotFound)",
			wrong:   "ignore(force(ctx, t, key, row), ErrNotFound)\n}\n\nfunc force[K comparable, T any](ctx context.Context, t Table[K, T], key K, row Row[T]) error {\n	if now, err := t.Get(ctx, key); err == nil {\n		row = now\n	}\n	return t.Delete(ctx, key, row)",
		},
		{
			name: "number blocks from one", file: "block/block.go",
			correct: "Sequence:    now.UnixNano(),",
			wrong:   "Sequence:    1,",
		},
	}
}

func allocatorMutants() []mutant {
	return []mutant{
		{
			name: "skip pending", file: "claim.go",
			correct: "create(ctx, t, key, Affinity{State: Pending})",
			wrong:   "create(ctx, t, key, Affinity{State: Confirmed})",
		},
		{
			name: "release without sequence check", file: "block/assign.go",
			correct: " || b.SequenceAt[o] != h.Sequence {",
			wrong:   " {",
		},
		{
			name: "count handle last", file: "assign.go",
			correct: "	if err := s.countUp(ctx, countsOf(places)); err != nil {\n		return nil, err\n	}\n	u.Push(s.withdraw)",
			wrong:   "	defer func() { _ = s.countUp(ctx, countsOf(places)) }()\n	u.Push(s.withdraw)",
		},
		{
			name: "take over a block that is used", file: "takeover.go",
			correct: "if !ok || !row.Value.Empty() || ",
			wrong:   "if !ok || ",
		},
		{
			name: "withdrawal without a new revision", file: "withdraw.go",
			correct: "mine, s.handle.Value.Counts[cidr], 0)",
			wrong:   "mine, 0, 0)",
		},
		{
			name: "release without a new revision", file: "release.go",
			correct: "if len(freed.Addrs) == 0 && kept >= counted {",
			wrong:   "if len(freed.Addrs) == 0 {",
		},
		{
			name: "lower a count that may be gone", file: "handle.go",
			correct: "	if len(row.Value.Counts) == 0 {\n		return row, ignore(remove",
			wrong:   "	if len(row.Value.Counts) == 0 {\n		if now, err := t.Get(ctx, id); err == nil {\n			row.Rev = now.Rev\n		}\n		return row, ignore(remove",
		},
		{name: "forget the half that was undone", file: "assign.go", correct: "	u.Push(s.withdraw)\n", wrong: ""},
		{
			name: "touch without a change", file: "handle.go",
			correct: "		row.Value.Touches++\n",
			wrong:   "",
			always:  true,
		},
		{name: "touch the handle of another assignment", file: "handle.go", correct: "row.UID != uid || ", wrong: ""},
		{
			name: "do not recognise the own write", file: "take.go", correct: "heldAlready(row.Value, p.want); ok {",
			wrong: "heldAlready(row.Value, p.want); ok && false {",
		},
		{
			name: "restore a claim that is marked", file: "claim.go",
			correct: "if affinity.Value.State == PendingDeletion {",
			wrong:   "if affinity.Value.State == PendingDeletion && false {",
		},
	}
}

// overlapMutants break the check for overlapping blocks.
func overlapMutants() []mutant {
	return []mutant{
		{
			name: "claim a block without the check", file: "claim.go",
			correct: "overlap := a.overlapping(ctx, affinity.Key.CIDR)",
			wrong:   "overlap := error(nil)",
		},
		{
			name: "use a block of the node without the check", file: "overlap.go",
			correct: "if p.admitted || ",
			wrong:   "if true || p.admitted || ",
		},
		{
			name: "trust a block of another size than its pool's", file: "overlap.go",
			correct: "s.a.passed(p.row) && s.fits(p.cidr)",
			wrong:   "s.a.passed(p.row)",
		},
		{
			name: "trust a block that was created again", file: "take.go",
			correct: "case row.UID != p.row.UID, row.Value",
			wrong:   "case row.Value",
		},
		{
			name: "give an address without the check", file: "findaddr.go",
			correct: "err = s.a.sharing(ctx, cidr, netip.PrefixFrom(w.Addr, w.Addr.BitLen()))",
			wrong:   "err = nil",
		},
	}
}

// nodeMutants break what the node remembers and records.
func nodeMutants() []mutant {
	return []mutant{
		{
			name: "believe that nothing is held", file: "release.go",
			correct: "if len(freed.Addrs) == 0 && guess {",
			wrong:   "if false && guess {",
		},
		{
			name: "believe that a block is full", file: "find.go",
			correct: "ok = ok && s.room(place{want: w, cidr: row.Key.CIDR, row: known}) == nil",
			wrong:   "ok = ok && true",
		},
		{
			name: "remember blocks across a restore", file: "model_test.go",
			correct: "	m.memory.expire()\n",
			wrong:   "",
		},
		{
			name: "keep records of deletions across a restore", file: "model_test.go",
			correct: "	m.records.expire()\n",
			wrong:   "",
		},
		{
			name: "complete a record while an ADD runs", file: "records_test.go",
			correct: "	if all && undisturbed {",
			wrong:   "	if all {",
		},
		{
			name: "complete a record though nothing was found", file: "records_test.go",
			correct: "	if all && undisturbed {",
			wrong:   "	if (all || true) && undisturbed {",
		},
		{
			name: "complete a record by its name", file: "records_test.go",
			correct: "func() error { mine.complete = true; return nil }",
			wrong:   "func() error { r.files[handle] = &record{complete: true}; return nil }", always: true,
		},
		{
			name: "keep the record of an earlier DEL", file: "records_test.go",
			correct: "func() error { delete(r.files, handle); return nil }",
			wrong:   "func() error { return nil }",
		},
		{
			name: "take an interrupted ADD for a finished one", file: "records_test.go",
			correct: `len(k.adding) == 0 && k.ended == "succeeded"`,
			wrong:   "len(k.adding) == 0 || k.adding[0].crashed",
		},
		{
			name: "queue a release after an ADD has begun", file: "records_test.go",
			correct: "		if r.files[handle] == mine {",
			wrong:   "		if true || r.files[handle] == mine {",
		},
		{
			name: "assign before the own queued release is settled", file: "records_test.go",
			correct: "		err = r.settleOwn(a, handle, settleOwn)\n",
			wrong:   "		_ = r.settleOwn\n",
		},
		{
			name: "settle a queued release without the lock", file: "records_test.go",
			correct: "	err := r.lock(a, handle)\n	if err == nil {\n		err = r.settleLocked",
			wrong:   "	err := error(nil)\n	if err == nil {\n		err = r.settleLocked",
		},
		{
			name: "recall a block without writing the handle", file: "memory.go",
			correct: "return s.confirmHandle(ctx, places)",
			wrong:   "return nil",
		},
	}
}
