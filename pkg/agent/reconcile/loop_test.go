// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bed is a loop over a desired number, with two drivers that record what they apply and when.
//
// The test holds the lock of the bed, except while it lets time pass.
type bed struct {
	sync.Mutex
	loop    *Loop[int]
	desired int
	ok      bool
	start   time.Time
	applied []string
	result  map[string]Result
	last    Status
	resync  time.Duration
}

// newBed returns a bed after the first round. change may change the bed before.
func newBed(t *testing.T, change func(*bed)) *bed {
	b := &bed{loop: New[int](), ok: true, start: time.Now(), result: map[string]Result{}}
	b.loop.Desired = func() (int, bool) {
		b.Lock()
		defer b.Unlock()
		return b.desired, b.ok
	}
	b.loop.Now = time.Now
	b.loop.Resync = func() time.Duration {
		b.Lock()
		defer b.Unlock()
		return b.resync
	}
	b.loop.Publish = func(s Status) {
		b.Lock()
		defer b.Unlock()
		b.last = s
	}
	for _, name := range []string{"links", "routes"} {
		b.loop.Drivers = append(b.loop.Drivers, Driver[int]{Name: name, Apply: func(_ context.Context, n int) Result {
			b.Lock()
			defer b.Unlock()
			b.applied = append(b.applied, fmt.Sprintf("%s %d", name, n))
			return b.result[name]
		}})
	}
	if change != nil {
		change(b)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.loop.Run(ctx)
	}()
	t.Cleanup(func() {
		b.Unlock()
		stop()
		<-done
	})
	synctest.Wait()
	b.Lock()
	return b
}

// expect lets time pass, and compares what was applied meanwhile.
func (b *bed) expect(t *testing.T, pass time.Duration, want string) {
	t.Helper()
	b.pass(pass)
	if got := strings.Join(b.applied, ", "); got != want {
		t.Errorf("after %s: applied %q, want %q", time.Since(b.start), got, want)
	}
	b.applied = nil
}

// pass lets time pass. The nanosecond lets timers that end at the same time run first.
func (b *bed) pass(d time.Duration) {
	b.Unlock()
	time.Sleep(d + 1)
	synctest.Wait()
	b.Lock()
}

func TestInputChangeRunsAllDriversAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.expect(t, 0, "links 0, routes 0")
		b.expect(t, time.Hour, "")
		b.desired = 1
		b.loop.InputChanged()
		b.expect(t, 0, "links 1, routes 1")
		if !b.last.Ready() || len(b.last.Faults()) != 0 {
			t.Errorf("status %+v", b.last)
		}
	})
}

func TestNothingIsAppliedWhileInputsAreIncomplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.ok = false })
		b.expect(t, time.Hour, "")
		if b.last.Ready() {
			t.Error("the loop is ready without inputs")
		}
		b.ok = true
		b.loop.InputChanged()
		b.expect(t, 0, "links 0, routes 0")
	})
}

// TestFailedDriverIsRetriedAlone lets one driver fail. The other one is not run again.
func TestFailedDriverIsRetriedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.result["routes"] = Result{Err: errors.New("netlink is busy")} })
		b.expect(t, 0, "links 0, routes 0")
		if got := b.last.Faults(); b.last.Ready() || len(got) != 1 || got[0] != "routes: netlink is busy" {
			t.Errorf("ready %v, problems %q", b.last.Ready(), got)
		}
		b.expect(t, minBackoff+time.Millisecond, "routes 0")
		b.result["routes"] = Result{Faults: []error{errors.New("route 10.0.0.0/26 is foreign")}}
		b.expect(t, 2*minBackoff+time.Millisecond, "routes 0")
		if !b.last.Ready() {
			t.Error("a fault of one object makes the loop not ready")
		}
		b.result["routes"] = Result{}
		b.expect(t, time.Hour, "routes 0")
	})
}

// TestRetriesBackOff counts the retries of an hour.
func TestRetriesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.result["links"] = Result{Err: errors.New("no")} })
		b.pass(time.Hour)
		if n := len(b.applied); n < 120 || n > 270 {
			t.Errorf("%d runs in an hour, want one per 15 to 30 s", n)
		}
	})
}

func TestInputChangeEndsThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, func(b *bed) { b.result["links"] = Result{Err: errors.New("no")} })
		b.pass(time.Hour)
		b.applied, b.desired, b.result = nil, 1, map[string]Result{}
		b.loop.InputChanged()
		b.expect(t, 0, "links 1, routes 1")
		b.expect(t, time.Hour, "")
	})
}

// TestKernelChangesAreCollected reports many changes of the kernel within the settle time: the drivers run once.
func TestKernelChangesAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.expect(t, 0, "links 0, routes 0")
		for range 9 {
			b.loop.KernelChanged()
			b.pass(settle / 10)
		}
		b.expect(t, 0, "")
		b.expect(t, settle, "links 0, routes 0")
		b.expect(t, time.Hour, "")
	})
}

func TestInputChangeDoesNotWaitForTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.expect(t, 0, "links 0, routes 0")
		b.loop.KernelChanged()
		b.pass(0)
		b.loop.InputChanged()
		b.expect(t, 0, "links 0, routes 0")
	})
}

func TestResync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, nil)
		b.expect(t, 0, "links 0, routes 0")
		b.resync = time.Minute
		b.loop.InputChanged()
		b.expect(t, 0, "links 0, routes 0")
		b.expect(t, time.Minute, "links 0, routes 0")
	})
}
