// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ErrContested: another program undoes the repairs, which are spaced for that reason.
var ErrContested = errors.New("changed again after a repair")

const (
	// minRepair and maxRepair bound the pause between repairs of a part.
	minRepair, maxRepair = 10 * time.Second, 5 * time.Minute
	// maxRoutine bounds the pause between routine repairs.
	maxRoutine = time.Minute
)

// Part is a part of the installation that is kept as desired.
type Part struct {
	// Name of the part, for logs and metrics.
	Name string
	// Find returns how the part differs from the desired state, a line each.
	Find func(context.Context) ([]string, error)
	// Repair restores the desired state.
	Repair func(context.Context) error
	// NeedsOthers is set for parts that make the runtime use the other parts. They are not repaired while others fail.
	NeedsOthers bool
	// Routine is set for parts that need repairs although nothing changed them, as a token does. These are no counted
	// repairs.
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

// tolerable reports whether what is found does no harm until the next repair.
func (p *Part) tolerable() bool { return p.Tolerable != nil && p.Tolerable() }
