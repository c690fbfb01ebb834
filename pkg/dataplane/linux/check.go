package linux

import (
	"context"
	"fmt"

	"calico-cni/pkg/dataplane"
)

// Check looks at the interface of the pod.
func (d *DataPlane) Check(ctx context.Context, spec dataplane.Spec) error {
	if err := validate(spec); err != nil {
		return err
	}
	ns, err := openPair(spec.NetNS)
	if err != nil {
		return err
	}
	defer ns.close()
	link, err := ns.pod.linkByName(spec.IfName)
	if err != nil {
		return err
	}
	if link == nil {
		return fmt.Errorf("%w: interface %s of pod: want it there, is absent", dataplane.ErrBroken, spec.IfName)
	}
	return ctx.Err()
}
