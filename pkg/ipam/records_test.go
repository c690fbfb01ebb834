// SPDX-License-Identifier: Apache-2.0

package ipam_test

import "errors"

// errLockBusy is the error of an ADD that has waited too long for another process to settle its queued release.
var errLockBusy = errors.New("lock is held by another process")

// records model the files of a node: in-flight marks and deletion records (package nodestate) and the release queue
// (package pending). A repeated DEL makes no request if an earlier one has released everything and no ADD has begun
// since. Each file operation is a step at which the process may be killed or preempted.
type records struct {
	m *model
	// marks are the marks of ADDs, by handle.
	marks map[string]*mark
	// files are the records of deletions that have a name.
	files map[string]*record
	// queued are the handles whose release is queued. settling is the actor that holds the lock of the queue; a killed
	// process loses it. Both survive a restore of the store.
	queued   map[string]bool
	settling *actor
}

// mark is the in-flight mark of an attachment.
type mark struct {
	adding []*actor
	// ended is "succeeded", or "failed" after an ADD has failed.
	ended string
}

// record is the record of a deletion. Like a file, it may be unlinked while a DEL has it open.
type record struct{ complete bool }

func newRecords(m *model) *records {
	r := &records{m: m, queued: map[string]bool{}}
	r.expire()
	return r
}

// expire drops all records, which are valid for some minutes only.
func (r *records) expire() { r.marks, r.files = map[string]*mark{}, map[string]*record{} }

// complete reports whether a DEL that begins now makes no request.
func (r *records) complete(handle string) bool {
	f := r.files[handle]
	return r.m.sit.records && f != nil && f.complete && r.undisturbed(handle)
}

// undisturbed reports whether no ADD is running or was interrupted. A killed process has lost its lock, but its mark
// still says that an ADD is running.
func (r *records) undisturbed(handle string) bool {
	k := r.marks[handle]
	return k == nil || len(k.adding) == 0 && k.ended == "succeeded"
}

// add is an ADD: it marks the attachment, removes the record of an earlier DEL, settles the queued release of its
// container, and then makes its requests.
func (r *records) add(a *actor, handle string, settleOwn, assign func() error) error {
	if !r.m.sit.records {
		return assign()
	}
	err := a.call(step{what: "mark as being added", key: handle}, func() error { r.begin(a, handle); return nil })
	if err != nil {
		return err
	}
	err = a.call(step{what: "remove record", key: handle}, func() error { delete(r.files, handle); return nil })
	if err == nil {
		err = r.settleOwn(a, handle, settleOwn)
	}
	if err == nil {
		err = assign()
	}
	failed := err != nil || a.crashed || a.cut
	_ = a.call(step{what: "end mark", key: handle}, func() error { r.end(a, handle, failed); return nil })
	return err
}

func (r *records) begin(a *actor, handle string) {
	if r.marks[handle] == nil {
		r.marks[handle] = &mark{ended: "succeeded"}
	}
	k := r.marks[handle]
	if len(k.adding) > 0 {
		k.ended = "failed"
	}
	k.adding = append(k.adding, a)
}

func (r *records) end(a *actor, handle string, failed bool) {
	k := r.marks[handle]
	if k == nil {
		return
	}
	for i, other := range k.adding {
		if other == a {
			k.adding = append(k.adding[:i:i], k.adding[i+1:]...)
			break
		}
	}
	if failed {
		k.ended = "failed"
	}
}

// del is a DEL: it opens its record, reads the mark, and makes its requests. It completes the record that it has opened
// if it has released an address and no ADD was running.
func (r *records) del(a *actor, handle string, release func() (all bool, err error)) error {
	if !r.m.sit.records {
		_, err := release()
		return err
	}
	var mine *record
	complete, undisturbed := false, false
	steps := []struct {
		what string
		f    func()
	}{
		{"open record", func() { mine = r.files[handle] }},
		{"create record", func() {
			if mine != nil {
				return
			}
			if r.files[handle] == nil {
				r.files[handle] = &record{}
			}
			mine = r.files[handle]
		}},
		{"read record", func() { complete = mine.complete }},
		{"read mark", func() { undisturbed = r.undisturbed(handle) }},
	}
	for _, s := range steps {
		if err := a.call(step{what: s.what, key: handle}, func() error { s.f(); return nil }); err != nil {
			return err
		}
	}
	if undisturbed && complete {
		return nil
	}
	all, err := release()
	if err != nil {
		return err
	}
	if all && undisturbed {
		err = a.call(step{what: "complete record", key: handle}, func() error { mine.complete = true; return nil })
		if err != nil {
			return err
		}
	}
	return a.call(step{what: "forget mark", key: handle}, func() error { r.forget(handle); return nil })
}

// forget removes a mark, unless an ADD is running.
func (r *records) forget(handle string) {
	k := r.marks[handle]
	if k == nil {
		return
	}
	for _, a := range k.adding {
		if !a.crashed {
			return
		}
	}
	delete(r.marks, handle)
}
