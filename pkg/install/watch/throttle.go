// SPDX-License-Identifier: Apache-2.0

package watch

import "time"

// throttle spaces attempts: the first is immediate, and the pause doubles while attempts recur. If another program
// reverts every repair, this bounds the load on this process and on the runtime, which reloads each time.
type throttle struct {
	// min and max bound the pause. After max without attempts, the pause starts at min again.
	min, max time.Duration
	// random spreads the pauses of many nodes between half of a pause and all of it. It returns a number in [0, 1). nil
	// means no spread.
	random func() float64

	pause      time.Duration
	last, next time.Time
}

// wait returns the time until the next attempt, 0 if it is due. It is due after the clock was set back.
func (t *throttle) wait(now time.Time) time.Duration {
	if now.Before(t.last) {
		return 0
	}
	return max(0, t.next.Sub(now))
}

// used notes an attempt.
func (t *throttle) used(now time.Time) {
	switch {
	case t.last.IsZero(), now.Before(t.last), now.Sub(t.next) >= t.max:
		t.pause = t.min
	default:
		t.pause = min(2*t.pause, t.max)
	}
	pause := t.pause
	if t.random != nil {
		pause = pause/2 + time.Duration(t.random()*float64(pause/2))
	}
	t.last, t.next = now, now.Add(pause)
}
