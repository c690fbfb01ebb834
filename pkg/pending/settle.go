// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"calico-cni/internal/hostlock"
	"calico-cni/internal/nodestate"
)

// settleLock is locked by the process that runs Settle. One byte of it, which a file name determines, is locked by the
// process that settles that file.
const settleLock = "settle.lock"

// Settler settles the releases of a queue.
type Settler struct {
	Queue Queue
	// Pace limits the rate of Settle; nil for no limit.
	Pace *Pace
}

// Settle settles up to limit of the releases that match (nil matches all), and removes those for which carryOut returns
// nil. It begins with the oldest. A release that fails moves to the end of the queue, so that it does not block others.
// It returns how many releases are settled, and the joined errors of the others. If ctx ends, it stops without error.
//
// Only one process runs Settle at a time; in another, it returns 0 and nil at once. It skips a release that another
// command is settling. It moves a file that contains no release aside, and returns an error that names it.
func (s Settler) Settle(ctx context.Context, limit int, match func(Release) bool,
	carryOut func(context.Context, Release) error,
) (done int, err error) {
	if n, err := s.Queue.Len(); n == 0 {
		return 0, err
	}
	files := s.Queue.files()
	unlock, err := hostlock.Try(files.path(settleLock))
	if errors.Is(err, hostlock.ErrBusy) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("settle queued releases: %w", err)
	}
	defer unlock()
	names, err := files.inOrder()
	errs := []error{files.sweep(), err}
	for tried := 0; len(names) > 0 && tried < limit && ctx.Err() == nil; names = names[1:] {
		e, err := files.load(names[0])
		if e == nil || match != nil && !match(e.Release) {
			errs = append(errs, err)
			continue
		}
		if !s.Pace.waitTurn(ctx) {
			break
		}
		tried++
		// Lock the release after the wait for the rate limit, so that no other process waits for it during that time.
		settled, err := s.trySettle(ctx, e, carryOut)
		if settled {
			done++
		}
		errs = append(errs, err)
	}
	return done, errors.Join(errs...)
}

// trySettle settles a release that was read before, unless another process is settling it or has replaced it.
func (s Settler) trySettle(
	ctx context.Context, read *entry, carryOut func(context.Context, Release) error,
) (settled bool, err error) {
	unlock, err := hostlock.TryPart(s.Queue.files().path(settleLock), read.name)
	if errors.Is(err, hostlock.ErrBusy) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("settle queued release of %s: %w", read.ContainerID, err)
	}
	defer unlock()
	e, err := s.Queue.files().load(read.name)
	if e == nil || !bytes.Equal(e.data, read.data) {
		return false, err
	}
	err = s.settleLocked(ctx, e, carryOut)
	return err == nil, err
}

// SettleOne settles the release of one attachment, if it is queued. Otherwise it only checks one file. If another
// process is settling that release, it waits until ctx ends; the error then wraps hostlock.ErrBusy. A release that is
// added meanwhile stays queued.
func (s Settler) SettleOne(
	ctx context.Context, k nodestate.Key, carryOut func(context.Context, Release) error,
) error {
	if queued, err := s.Queue.Has(k); !queued || err != nil {
		return err
	}
	return s.settleFile(ctx, fileName(k), carryOut)
}

// SettleContainer is SettleOne for all attachments of a container in a network: the release of one interface may
// concern addresses under the handle of the container that name no interface. If none is queued, it only reads the
// directory.
func (s Settler) SettleContainer(
	ctx context.Context, network, containerID string, carryOut func(context.Context, Release) error,
) error {
	entries, err := s.Queue.files().list()
	if err != nil {
		return fmt.Errorf("look for queued releases: %w", err)
	}
	var errs []error
	for _, entry := range entries {
		if s.isOf(entry.Name(), network, containerID) {
			errs = append(errs, s.settleFile(ctx, entry.Name(), carryOut))
		}
	}
	return errors.Join(errs...)
}

// isOf reports whether a file contains a release of a container in a network.
func (s Settler) isOf(name, network, containerID string) bool {
	if !isHashed(name) {
		return isNameOf(name, network, containerID)
	}
	e, _ := s.Queue.files().load(name)
	return e != nil && e.Network == network && e.ContainerID == containerID
}

// settleFile locks the release in a file and settles it, if it is still queued.
func (s Settler) settleFile(ctx context.Context, name string, carryOut func(context.Context, Release) error) error {
	unlock, err := hostlock.AcquirePart(ctx, s.Queue.files().path(settleLock), name)
	if err != nil {
		return fmt.Errorf("settle queued release: %w", err)
	}
	defer unlock()
	e, err := s.Queue.files().load(name)
	if e == nil {
		return err
	}
	return s.settleLocked(ctx, e, carryOut)
}

// settleLocked settles one release, and removes its file or moves it to the end. The caller holds the lock of the file
// name.
//
// The lock prevents a release from taking effect after an ADD of its container. The file exists from before the first
// request of carryOut until after the last, even if a DEL replaces it meanwhile. An ADD that finds no file, or gets the
// lock, knows that no process is settling the release.
func (s Settler) settleLocked(
	ctx context.Context, e *entry, carryOut func(context.Context, Release) error,
) error {
	err := carryOut(ctx, e.Release)
	if err == nil {
		err = s.Queue.files().remove(e)
	} else if failed := s.Queue.files().moveToEnd(e.name); failed != nil {
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("settle release of %s in network %s, queued at %s: %w",
			e.ContainerID, e.Network, e.Queued.Format(time.RFC3339), err)
	}
	return nil
}
