package install

import "time"

// throttle spaces repairs: the first is at once, and while they recur the pause between two doubles. It bounds what a
// rival that undoes every repair can make of this process, and of the runtime that reloads each time.
type throttle struct {
	// first and most are the shortest and the longest pause; a quiet time of most forgets.
	first, most time.Duration
	// random spreads the pauses of many processes: from half a pause to a whole one. It returns from 0 to below 1; nil spreads none.
	random func() float64

	pause      time.Duration
	last, next time.Time
}

// wait returns how long to wait before the next repair, 0 when it may be now. A clock that was set back owes nothing.
func (t *throttle) wait(now time.Time) time.Duration {
	if now.Before(t.last) {
		return 0
	}
	return max(0, t.next.Sub(now))
}

// used notes a repair.
func (t *throttle) used(now time.Time) {
	switch {
	case t.last.IsZero(), now.Before(t.last), now.Sub(t.next) >= t.most:
		t.pause = t.first
	default:
		t.pause = min(2*t.pause, t.most)
	}
	pause := t.pause
	if t.random != nil {
		pause = pause/2 + time.Duration(t.random()*float64(pause/2))
	}
	t.last, t.next = now, now.Add(pause)
}
