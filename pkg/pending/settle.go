package pending

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostlock"
)

// Settle settles up to limit of the releases that match (nil matches all), and removes each for which settle returned nil.
// The oldest comes first; one that fails goes to the end of the queue, so that it does not keep the others from their
// turn. It stops when ctx ends, which is no error. It returns how many are done, and the errors of the others joined.
//
// One process settles at a time: while another does, this returns 0 and nil at once. It settles no faster than the queue's
// pace allows. A file that holds no release is moved aside, with an error that names it.
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
		if err = q.settle(ctx, e, settle); err == nil {
			done++
		}
		errs = append(errs, err)
	}
	return done, errors.Join(errs...)
}

// SettleOne settles the release of one attachment if it waits, for a command that is about that attachment. It costs one
// look at a file when none does. It waits until ctx ends for others who settle, since it may be the one that they have in
// hand; the error then wraps hostlock.ErrBusy. A release that is added while this one is settled waits for its own turn.
func (q Queue) SettleOne(ctx context.Context, k Key, settle func(context.Context, Release) error) error {
	if waits, err := q.Has(k); !waits || err != nil {
		return err
	}
	unlock, err := hostlock.Acquire(ctx, q.path(settleLock))
	if err != nil {
		return fmt.Errorf("settle queued release of %s: %w", k.ContainerID, err)
	}
	defer unlock()
	e, err := q.load(k.file())
	if e == nil {
		return err
	}
	return q.settle(ctx, e, settle)
}

// settle settles one release, and removes its file or makes it the last.
func (q Queue) settle(ctx context.Context, e *entry, settle func(context.Context, Release) error) error {
	err := settle(ctx, e.Release)
	if err == nil {
		err = q.drop(e)
	} else if late := q.putLast(e.name); late != nil {
		err = errors.Join(err, late)
	}
	if err != nil {
		return fmt.Errorf("settle release of %s in network %s, queued at %s: %w", e.ContainerID, e.Network, e.Queued.Format(time.RFC3339), err)
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

// sweep removes the temporaries of writers that were killed. Who writes holds the lock, so that whatever is there is theirs.
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
