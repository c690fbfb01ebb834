// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"testing"

	"calico-cni/pkg/ipam"
)

// TestReleaseConflictsWithAssignmentThatTouchesHandle interleaves an ADD and the DEL of the same container. The DEL
// reads the handle, and writes the block before the ADD does. The ADD then touches the handle and writes the block.
// The deletion of the handle by the DEL must fail with a conflict, because it names the old revision.
func TestReleaseConflictsWithAssignmentThatTouchesHandle(t *testing.T) {
	s := newStore()
	mustAssign(t, s, only4("a", "net.other"))

	aboutToDelete, proceed, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	del := &crashing{Store: s, left: 1 << 30}
	del.onCall = func(what string) {
		if what == "delete handle" {
			del.onCall = nil
			aboutToDelete <- struct{}{}
			<-proceed
		}
	}
	add, writes := &crashing{Store: s, left: 1 << 30}, 0
	add.onCall = func(what string) {
		if what != "update block" {
			return
		}
		switch writes++; writes {
		case 1:
			go func() { done <- release(&ipam.Allocator{Store: del, Now: s.Now, Parallel: 1}, "net.x") }()
			<-aboutToDelete
		case 2:
			close(proceed)
			if err := <-done; err != nil {
				t.Errorf("release: %v", err)
			}
		}
	}
	_, err := assignWith(&ipam.Allocator{Store: add, Now: s.Now, Parallel: 1}, only4("a", "net.x"))
	t.Logf("assign: %v", err)
	if bad := s.Check(); len(bad) > 0 {
		t.Errorf("%v\n%s", bad, s)
	}
	mustRelease(t, s, "net.x")
	wantStore(t, s, `
		affinity a 10.0.0.0/30 confirmed
		block 10.0.0.0/30 of host:a: 3 free, 1 used, 0 cooling; 10.0.0.0 net.other
		handle net.other: 1 in 10.0.0.0/30`)
}
