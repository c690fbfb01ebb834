// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"calico-cni/internal/safeopen"
)

const (
	// maxDelay bounds the random delay between the first contact after an outage and the first release that is settled.
	maxDelay = 60 * time.Second
	// interval spaces the releases of a node: 5 a second. After a pause, burst of them may be settled at once.
	interval = 200 * time.Millisecond
	burst    = 5
	// paceVersion is the format of the schedule on disk.
	paceVersion = 1
)

// Schedule says when a node may settle queued releases. All times are since boot. The zero Schedule is that of a node
// that has not reached the API server since the outage.
type Schedule struct {
	Version int `json:"version"`
	// NotBefore is when the first release may be settled, Next when the next may.
	NotBefore time.Duration `json:"notBefore"`
	Next      time.Duration `json:"next"`
}

// Known reports whether the schedule was made, since the host was booted, by a version of the plugins that this one
// knows.
func (s Schedule) Known(now time.Duration) bool {
	return s.Version == paceVersion && s.NotBefore <= now+maxDelay && s.Next <= now+interval
}

// Contact returns the schedule after the API server was reached. After an outage it begins with a delay of its own, so
// that the nodes of a cluster do not all settle at once. random is from 0 to below 1.
func (s Schedule) Contact(now time.Duration, random float64) Schedule {
	if s.Known(now) {
		return s
	}
	delay := time.Duration(random * float64(maxDelay))
	return Schedule{Version: paceVersion, NotBefore: now + delay}
}

// Take returns how long to wait before a release may be settled. When that is 0, the release counts as settled.
func (s Schedule) Take(now time.Duration) (after Schedule, wait time.Duration) {
	if due := max(s.NotBefore, s.Next); now < due {
		return s, due - now
	}
	s.Next = max(s.Next, now-(burst-1)*interval) + interval
	return s, 0
}

// Pace keeps the schedule of a node in a file, which all commands of the node share.
type Pace struct {
	// File must not outlive a reboot.
	File string
	// Boot is the time since boot.
	Boot func() time.Duration
	// Random returns a number from 0 to below 1.
	Random func() float64
	// MaxWait is for how long Settle waits for its turn; when the turn comes later, it stops.
	MaxWait time.Duration
}

// Reached notes that the API server was reached, and reports whether releases may be settled now.
func (p *Pace) Reached() bool {
	now := p.Boot()
	before := p.load()
	s := before.Contact(now, p.Random())
	if s != before {
		p.store(s)
	}
	_, wait := s.Take(now)
	return wait == 0
}

// Delayed reports whether the API server was reached, and the node still waits before it settles the first release.
func (p *Pace) Delayed() bool {
	s, now := p.load(), p.Boot()
	return s.Known(now) && now < s.NotBefore
}

// Lost notes that the API server cannot be reached: the next contact begins with a delay.
func (p *Pace) Lost() { _ = os.Remove(p.File) }

// next takes the turn of one release. The caller holds the lock of those who settle.
func (p *Pace) next(ctx context.Context) bool {
	if p == nil {
		return true
	}
	for {
		now := p.Boot()
		s, wait := p.load().Contact(now, p.Random()).Take(now)
		p.store(s)
		if wait == 0 {
			return true
		}
		if wait > p.MaxWait {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// load returns the zero Schedule where there is none, or none that can be read.
func (p *Pace) load() (s Schedule) {
	data, err := safeopen.Read(p.File)
	if err != nil || json.Unmarshal(data, &s) != nil {
		return Schedule{}
	}
	return s
}

// store writes the schedule. One that is lost or torn is made anew, with a delay.
func (p *Pace) store(s Schedule) {
	data, err := json.Marshal(s)
	if err == nil && os.MkdirAll(filepath.Dir(p.File), 0o755) == nil {
		_ = safeopen.WriteFile(p.File, data, 0o600)
	}
}
