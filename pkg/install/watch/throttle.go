// SPDX-License-Identifier: Apache-2.0

package watch

import "time"

// throttle spaces attempts: the first is immediate, and the pause doubles while they recur. It bounds what another
// program that undoes every repair can cost this process, and the runtime, which reloads each time.
type throttle struct {
	// min and max bound the pause. After max without attempts, the pause starts at min again.
	min, max time.Duration
	// random spreads the pauses of many nodes, from half of a pause to a whole one. It returns a number in [0, 1). nil
	// spreads none.
	random func() float64

	pause      time.Duration
	last, next time.Time
}

// wait returns the time until the next attempt, 0 if it may be made now. After the clock was set back, it may.
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
