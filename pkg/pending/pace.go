// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

const (
	// maxDelay bounds the random delay between the first contact after an outage and the first release that is settled.
	maxDelay = 60 * time.Second
	// interval is the time between releases of a node: 5 per second. After a pause, burst releases may follow at once.
	interval = 200 * time.Millisecond
	burst    = 5
	// unscheduled is the share of the commands that settle releases while the schedule cannot be stored.
	unscheduled = 0.1
	// paceVersion is the format of the schedule on disk.
	paceVersion = 1
)

// Schedule says when a node may settle queued releases. All times are since boot. A node that has not reached the API
// server since the outage has the zero Schedule.
type Schedule struct {
	Version int `json:"version"`
	// NotBefore is the time of the first release after the outage, Next that of the next release.
	NotBefore time.Duration `json:"notBefore"`
	Next      time.Duration `json:"next"`
}

// Known reports whether the schedule has the version of this package and was created since boot.
func (s Schedule) Known(now time.Duration) bool {
	return s.Version == paceVersion && s.NotBefore <= now+maxDelay && s.Next <= now+interval
}

// Contact returns the schedule after the API server was reached. After an outage it begins with a random delay, so that
// the nodes of a cluster do not all settle at once. random is from 0 to below 1.
func (s Schedule) Contact(now time.Duration, random float64) Schedule {
	if s.Known(now) {
		return s
	}
	delay := time.Duration(random * float64(maxDelay))
	return Schedule{Version: paceVersion, NotBefore: now + delay}
}

// Take returns how long to wait before a release may be settled. If that is 0, it counts the release.
func (s Schedule) Take(now time.Duration) (after Schedule, wait time.Duration) {
	if due := max(s.NotBefore, s.Next); now < due {
		return s, due - now
	}
	s.Next = max(s.Next, now-(burst-1)*interval) + interval
	return s, 0
}

// Pace keeps the schedule of a node in a file, which all commands of the node share.
type Pace struct {
	// File must not survive a reboot.
	File string
	// Boot is the time since boot.
	Boot func() time.Duration
	// Random returns a number from 0 to below 1.
	Random func() float64
	// MaxWait is the longest time that Settle waits before a release. It stops if it would have to wait longer.
	MaxWait time.Duration
}

// Reached records that the API server was reached, and reports whether releases may be settled now. If the schedule
// cannot be stored, it returns the error as well: one command in ten then settles releases, chosen at random.
func (p *Pace) Reached() (bool, error) {
	now := p.Boot()
	before, random := p.load(), p.Random()
	s := before.Contact(now, random)
	if s != before {
		if err := p.store(s); err != nil {
			return random < unscheduled, fmt.Errorf("store the schedule of queued releases: %w", err)
		}
	}
	_, wait := s.Take(now)
	return wait == 0, nil
}

// Delayed reports whether the API server was reached but the delay before the first release has not passed.
func (p *Pace) Delayed() bool {
	s, now := p.load(), p.Boot()
	return s.Known(now) && now < s.NotBefore
}

// Lost records that the API server cannot be reached. The next contact begins with a delay.
func (p *Pace) Lost() { _ = os.Remove(p.File) }

// waitTurn waits until one release may be settled and counts it. It returns false if that takes too long. The caller
// holds the lock of Settle.
func (p *Pace) waitTurn(ctx context.Context) bool {
	if p == nil {
		return true
	}
	for {
		now := p.Boot()
		s, wait := p.load().Contact(now, p.Random()).Take(now)
		if p.store(s) != nil {
			// The schedule is unknown to other commands. This one keeps the rate.
			return p.wait(ctx, interval)
		}
		if wait == 0 {
			return true
		}
		if wait > p.MaxWait {
			return false
		}
		if !p.wait(ctx, wait) {
			return false
		}
	}
}

// wait returns false if ctx ends first.
func (p *Pace) wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// load returns the zero Schedule if the file is missing or cannot be read.
func (p *Pace) load() (s Schedule) {
	data, err := safeopen.Read(p.File)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return Schedule{}
	}
	return s
}

// store writes the schedule. If it is lost or torn, a new one begins with a delay.
func (p *Pace) store(s Schedule) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	dir := filepath.Dir(p.File)
	if err := hostdir.Make(dir, 0o755); err != nil {
		return err
	}
	return hostdir.Explain(dir, safeopen.WriteFile(p.File, data, 0o600))
}
