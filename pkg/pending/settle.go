// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostlock"
	"calico-cni/internal/nodestate"
)

// Settle settles up to limit of the releases that match (nil matches all), and removes each for which settle returned
// nil. The oldest comes first; one that fails goes to the end of the queue, so that it does not keep the others from
// their turn. It stops when ctx ends, which is no error. It returns how many are done, and the errors of the others
// joined.
//
// One process at a time runs Settle: while another does, this returns 0 and nil at once. It skips a release that
// another command settles at that moment. It settles no faster than the queue's pace allows. A file that holds no
// release is moved aside, with an error that names it.
func (q Queue) Settle(ctx context.Context, limit int, match func(Release) bool,
	settle func(context.Context, Release) error,
) (done int, err error) {
	if n, err := q.Len(); n == 0 {
		return 0, err
	}
	unlock, err := hostlock.Try(q.path(settleLock))
	if errors.Is(err, hostlock.ErrBusy) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("settle queued releases: %w", err)
	}
	defer unlock()
	names, err := q.inOrder()
	errs := []error{q.sweep(), err}
	for tried := 0; len(names) > 0 && tried < limit && ctx.Err() == nil; names = names[1:] {
		e, err := q.load(names[0])
		if e == nil || match != nil && !match(e.Release) {
			errs = append(errs, err)
			continue
		}
		if !q.Pace.next(ctx) {
			break
		}
		tried++
		// Claim only now, so that no other process waits for a release while this one waits for its turn.
		settled, err := q.trySettle(ctx, e, settle)
		if settled {
			done++
		}
		errs = append(errs, err)
	}
	return done, errors.Join(errs...)
}

// trySettle settles a release as it was read, unless another process settles it or has replaced it since.
func (q Queue) trySettle(
	ctx context.Context, read *entry, settle func(context.Context, Release) error,
) (settled bool, err error) {
	unclaim, err := hostlock.TryPart(q.path(settleLock), read.name)
	if errors.Is(err, hostlock.ErrBusy) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("settle queued release of %s: %w", read.ContainerID, err)
	}
	defer unclaim()
	e, err := q.load(read.name)
	if e == nil || !bytes.Equal(e.data, read.data) {
		return false, err
	}
	err = q.settle(ctx, e, settle)
	return err == nil, err
}

// SettleOne settles the release of one attachment if it waits, for a command that is about that attachment. It costs
// one look at a file when none does. While another process settles that release, it waits until ctx ends; the error
// then wraps hostlock.ErrBusy. A release that is added while this one is settled waits for its own turn.
func (q Queue) SettleOne(ctx context.Context, k nodestate.Key, settle func(context.Context, Release) error) error {
	if waits, err := q.Has(k); !waits || err != nil {
		return err
	}
	return q.settleNamed(ctx, fileName(k), settle)
}

// SettleContainer is SettleOne for all attachments of a container in a network: a release of one interface may be about
// what the container's handle holds without the name of an interface. It costs one look at the directory when none
// waits.
func (q Queue) SettleContainer(
	ctx context.Context, network, containerID string, settle func(context.Context, Release) error,
) error {
	files, err := q.list()
	if err != nil {
		return fmt.Errorf("look for queued releases: %w", err)
	}
	var errs []error
	for _, f := range files {
		if q.isOf(f.Name(), network, containerID) {
			errs = append(errs, q.settleNamed(ctx, f.Name(), settle))
		}
	}
	return errors.Join(errs...)
}

// isOf reports whether a file holds a release of a container in a network.
func (q Queue) isOf(name, network, containerID string) bool {
	if !strings.HasPrefix(name, hashed) {
		return strings.HasPrefix(name, network+"@"+containerID+"@")
	}
	e, _ := q.load(name)
	return e != nil && e.Network == network && e.ContainerID == containerID
}

// settleNamed claims the release in a file and settles it, if it still waits then.
func (q Queue) settleNamed(ctx context.Context, name string, settle func(context.Context, Release) error) error {
	unclaim, err := hostlock.AcquirePart(ctx, q.path(settleLock), name)
	if err != nil {
		return fmt.Errorf("settle queued release: %w", err)
	}
	defer unclaim()
	e, err := q.load(name)
	if e == nil {
		return err
	}
	return q.settle(ctx, e, settle)
}

// settle settles one release, and removes its file or makes it the last. The caller has claimed the file's name.
//
// The claim keeps a release from taking effect after an ADD of its container: the file of that name exists from before
// the first request of settle until after the last, even if a DEL replaces it meanwhile. An ADD that finds no file, or that
// gets the claim, knows that no process settles the release.
func (q Queue) settle(ctx context.Context, e *entry, settle func(context.Context, Release) error) error {
	err := settle(ctx, e.Release)
	if err == nil {
		err = q.drop(e)
	} else if late := q.putLast(e.name); late != nil {
		err = errors.Join(err, late)
	}
	if err != nil {
		return fmt.Errorf("settle release of %s in network %s, queued at %s: "+
			"%w", e.ContainerID, e.Network, e.Queued.Format(time.RFC3339), err)
	}
	return nil
}

// putLast makes a release the last in the order of settling.
func (q Queue) putLast(name string) error {
	unlock, err := q.lockFiles()
	if err != nil {
		return err
	}
	defer unlock()
	last, err := q.last()
	if err != nil {
		return err
	}
	if err = os.Chtimes(q.path(name), time.Time{}, last); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// inOrder returns the names of all files, the one first that waits longest since it was queued or last tried.
func (q Queue) inOrder() ([]string, error) {
	entries, err := q.list()
	if err != nil {
		return nil, fmt.Errorf("list queued releases: %w", err)
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list queued releases: %w", err)
		}
		infos = append(infos, info)
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = info.Name()
	}
	return names, nil
}

// always is later than any modification time.
var always = time.Unix(1<<40, 0)

// sweep removes the temporaries of writers that were killed. Who writes holds the lock, so that whatever is there is
// theirs.
func (q Queue) sweep() error {
	unlock, err := q.lockFiles()
	if err != nil {
		return err
	}
	defer unlock()
	if err := atomicfile.Sweep(q.Dir, always); err != nil {
		return fmt.Errorf("remove temporaries: %w", err)
	}
	return nil
}
