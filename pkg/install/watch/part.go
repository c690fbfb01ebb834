// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrContested: another program reverts the repairs. The next repair waits.
var ErrContested = errors.New("changed again after a repair")

const (
	// minRepair and maxRepair bound the pause between repairs of a part.
	minRepair, maxRepair = 10 * time.Second, 5 * time.Minute
	// maxRoutine bounds the pause between routine repairs.
	maxRoutine = time.Minute
)

// Part is a part of the installation that is kept in the desired state.
type Part struct {
	// Name of the part, for logs and metrics.
	Name string
	// Find returns a line for each difference from the desired state.
	Find func(context.Context) ([]string, error)
	// Repair restores the desired state.
	Repair func(context.Context) error
	// NeedsOthers is set for parts that make the runtime use other parts. They are not repaired while others fail.
	NeedsOthers bool
	// Routine is set for parts that need repairs although nothing changed them, such as a token. These repairs are not
	// counted.
	Routine bool
	// Tolerable reports whether a failed repair does no harm until the next one. nil means never.
	Tolerable func() bool

	throttle throttle
	// failed is the error of the last repair.
	failed error
}

func (p *Part) newThrottle() throttle {
	if p.Routine {
		return throttle{min: minRepair, max: maxRoutine}
	}
	return throttle{min: minRepair, max: maxRepair}
}

// level is the level at which a repair is logged.
func (p *Part) level() slog.Level {
	if p.Routine {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// harmless reports whether a difference does no harm until the next repair.
func (p *Part) harmless() bool { return p.Tolerable != nil && p.Tolerable() }
