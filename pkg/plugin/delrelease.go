// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/nodeipam"
)

// release releases the addresses and clears the annotations of the pod in parallel. An error of one does not stop the
// other.
func (d *delRun) release(
	ctx context.Context, held lookup, e nodeipam.Evidence, others dataplane.Others,
) (freed nodeipam.Freed, err error) {
	ctx, cancel := deadline.Within(ctx, nodeipam.ReleaseDeadline, "the release of the addresses")
	defer cancel()
	if err := d.attachment.call.Connect(); err != nil {
		return freed, err
	}
	if others.InNetwork || others.Elsewhere {
		return d.releaseBeside(ctx, held, e)
	}
	var failed, cleared error
	var g errgroup.Group
	if d.attachment.blockIPAM() {
		g.Go(func() error { freed, failed = d.releaseHeld(ctx, held, e); return nil })
	}
	if d.attachment.call.ID.Kubernetes() {
		g.Go(func() error { cleared = d.clear(ctx); return nil })
	}
	_ = g.Wait()
	return freed, errors.Join(failed, cleared)
}

// releaseBeside is release for a container with other interfaces. The annotations may belong to one of these. They are
// cleared only if they contain a released address.
func (d *delRun) releaseBeside(
	ctx context.Context, held lookup, e nodeipam.Evidence,
) (freed nodeipam.Freed, err error) {
	if d.attachment.blockIPAM() {
		freed, err = d.releaseHeld(ctx, held, e)
	}
	if d.attachment.call.ID.Kubernetes() {
		err = errors.Join(err, d.attachment.announcer().ClearOf(ctx, slices.Concat(freed.Addrs, e.Addrs)))
	}
	return freed, err
}

// clear clears the annotations of the pod. If they show that no other container owns the host interface, clear also
// removes an interface without a mark, which Calico has created.
func (d *delRun) clear(ctx context.Context) error {
	mine, err := d.attachment.announcer().Clear(ctx, d.attachment.call.PreviousAddrs())
	if err != nil || !mine {
		return err
	}
	target := d.attachment.target()
	target.Unmarked = true
	_, err = d.attachment.dataplane.Teardown(ctx, target)
	return err
}

// lookup waits for the result of startLookup.
type lookup func() (nodeipam.Holdings, error)

// startLookup starts to look up the allocations of the attachment. The lookup runs in parallel with the removal of the
// interface, which takes the kernel milliseconds.
func (d *delRun) startLookup(ctx context.Context) lookup {
	if !d.attachment.blockIPAM() {
		return nil
	}
	var held nodeipam.Holdings
	err := d.attachment.call.Connect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err == nil {
			held, err = d.attachment.ipam.HoldingsOf(ctx, d.attachment.call.ID)
		}
	}()
	return func() (nodeipam.Holdings, error) {
		<-done
		return held, err
	}
}

// releaseHeld releases the addresses that the lookup found.
func (d *delRun) releaseHeld(ctx context.Context, held lookup, e nodeipam.Evidence) (nodeipam.Freed, error) {
	h, err := held()
	if err == nil && h.None() {
		// A concurrent ADD may have allocated an address until its interface was removed. Look again.
		h, err = d.attachment.ipam.HoldingsOf(ctx, d.attachment.call.ID)
	}
	if err != nil {
		return nodeipam.Freed{}, err
	}
	return d.attachment.ipam.Allocations().Release(ctx, h, e)
}
