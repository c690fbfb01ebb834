package ipam_test

import "errors"

// errLockBusy is an ADD that waited too long for the process that may settle its own queued release.
var errLockBusy = errors.New("lock is held by another process")

// records model what a node records of ADDs and DELs of an attachment in files (packages internal/adding and
// internal/deletion) and queue (package pending): a repeated DEL makes no request when an earlier one has released everything and no ADD has begun
// since. Each file operation is a step at which the process may be killed or overtaken.
type records struct {
	m *model
	// marks are the marks of ADDs, by handle.
	marks map[string]*mark
	// files are the records of deletions that have a name.
	files map[string]*record
	// queued are the handles whose release is queued, settling has who settles releases; a process that is killed lets go.
	// They outlive a restore of the store.
	queued   map[string]bool
	settling *actor
}

// mark says what the last ADDs of an attachment did.
type mark struct {
	adding []*actor
	// ended is how the ADDs have ended: "succeeded", or "failed" once one has not.
	ended string
}

// record is a record of a deletion: a file, which may have lost its name while a DEL has it open.
type record struct{ complete bool }

func newRecords(m *model) *records {
	r := &records{m: m, queued: map[string]bool{}}
	r.expire()
	return r
}

// expire drops all records, which count for some minutes only.
func (r *records) expire() { r.marks, r.files = map[string]*mark{}, map[string]*record{} }

// complete reports whether a DEL that begins now makes no request.
func (r *records) complete(handle string) bool {
	f := r.files[handle]
	return r.m.sit.records && f != nil && f.complete && r.undisturbed(handle)
}

// undisturbed reports whether no ADD is running or was interrupted. The lock of a process that was killed is gone, and
// its mark still says that it is adding.
func (r *records) undisturbed(handle string) bool {
	k := r.marks[handle]
	return k == nil || len(k.adding) == 0 && k.ended == "succeeded"
}

// add is an ADD: it marks the attachment, removes the record of an earlier DEL, settles a release of its own container that
// is queued, and then makes its requests.
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

// del is a DEL: it opens its record, then looks at the mark, then makes its requests, and completes the record that it
// opened if it released something and no ADD disturbed it.
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
		{"look at mark", func() { undisturbed = r.undisturbed(handle) }},
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

// queue is a DEL that does not reach the server: it queues the release, unless an ADD has removed its record since it
// began. The queue's lock makes the comparison and the write one step.
func (r *records) queue(a *actor, handle string) error {
	var mine *record
	err := a.call(step{what: "open record", key: handle}, func() error {
		// An ADD that runs now may lose its address, one that begins later may not.
		delete(r.m.held, handle)
		r.m.released[handle]++
		if r.files[handle] == nil {
			r.files[handle] = &record{}
		}
		mine = r.files[handle]
		return nil
	})
	if err != nil {
		return err
	}
	return a.call(step{what: "queue release", key: handle}, func() error {
		if r.files[handle] == mine {
			r.queued[handle] = true
		}
		return nil
	})
}

// settle is a process that settles queued releases after its own work, unless another does.
func (r *records) settle(a *actor, handle string, release func() error) error {
	err := r.lock(a, handle)
	if err == nil {
		err = r.settleLocked(a, handle, release)
	}
	return ignore(err, errLockBusy)
}

// settleOwn settles the release of an ADD's own container. It looks at the queue before it takes the lock, and waits for the
// process that holds it.
func (r *records) settleOwn(a *actor, handle string, release func() error) error {
	waits := false
	err := a.call(step{what: "look at queue", key: handle}, func() error { waits = r.queued[handle]; return nil })
	if err != nil || !waits {
		return err
	}
	err = r.lock(a, handle)
	if errors.Is(err, errLockBusy) {
		err = r.lock(a, handle)
	}
	if err != nil {
		return err
	}
	return r.settleLocked(a, handle, release)
}

func (r *records) lock(a *actor, handle string) error {
	return a.call(step{what: "lock settling for", key: handle}, func() error {
		if by := r.settling; by != nil && by != a && by.busy && !by.crashed {
			return errLockBusy
		}
		r.settling = a
		return nil
	})
}

// settleLocked settles a release if it is still queued. It stays queued when that fails.
func (r *records) settleLocked(a *actor, handle string, release func() error) error {
	queued := false
	err := a.call(step{what: "read queued release", key: handle}, func() error { queued = r.queued[handle]; return nil })
	if err == nil && queued {
		if err = release(); err == nil {
			err = a.call(step{what: "drop queued release", key: handle}, func() error { delete(r.queued, handle); return nil })
		}
	}
	_ = a.call(step{what: "unlock settling for", key: handle}, func() error { r.settling = nil; return nil })
	return err
}
