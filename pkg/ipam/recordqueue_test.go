// SPDX-License-Identifier: Apache-2.0

package ipam_test

import "errors"

// queue is a DEL that does not reach the server: it queues the release, unless an ADD has removed its record since it
// began. The queue's lock makes the comparison and the write one step.
func (r *records) queue(a *actor, handle string) error {
	var mine *record
	err := a.call(step{what: "open record", key: handle}, func() error {
		// A running ADD may lose its address, but not an ADD that begins later.
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

// settle settles a queued release after other work, unless another process does so.
func (r *records) settle(a *actor, handle string, release func() error) error {
	err := r.lock(a, handle)
	if err == nil {
		err = r.settleLocked(a, handle, release)
	}
	return ignore(err, errLockBusy)
}

// settleOwn settles the queued release of the container that an ADD is for. It reads the queue before it takes the
// lock, and waits for a process that holds the lock.
func (r *records) settleOwn(a *actor, handle string, release func() error) error {
	waits := false
	err := a.call(step{what: "read queue", key: handle}, func() error { waits = r.queued[handle]; return nil })
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

// settleLocked settles a release if it is still queued. After a failure the release stays queued.
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
