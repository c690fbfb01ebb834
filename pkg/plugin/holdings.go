package plugin

import (
	"context"

	"calico-cni/pkg/nodeipam"
)

// holdings returns what the attachment holds, as soon as that is known.
type holdings func() (nodeipam.Holdings, error)

// lookUp begins to look up what the attachment holds. That goes on beside the work on the interface, for which the
// kernel takes its time.
func (a *attachment) lookUp(ctx context.Context) holdings {
	if !a.blockIPAM() {
		return nil
	}
	var held nodeipam.Holdings
	err := a.Connect()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err == nil {
			held, err = a.LookUp(ctx)
		}
	}()
	return func() (nodeipam.Holdings, error) {
		<-done
		return held, err
	}
}

// releaseHeld gives back the addresses.
func (a *attachment) releaseHeld(ctx context.Context, held holdings, e nodeipam.Evidence) (nodeipam.Freed, error) {
	h, err := held()
	if err == nil && h.None() {
		// An ADD that was under way until its interface was torn down may have got something since.
		h, err = a.LookUp(ctx)
	}
	if err != nil {
		return nodeipam.Freed{}, err
	}
	return a.Allocations().Release(ctx, h, e)
}
