package linux

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// Teardown removes the pod's end of the pair, which takes the host's end and its routes along, and then the
// host's end where that is left and carries target.Owner. What is not there is fine, as is a path that names
// the host's own namespace: nothing of ours is in there. An error of one half does not stop the other.
func (d *DataPlane) Teardown(ctx context.Context, target dataplane.Target) error {
	return errors.Join(
		step(ctx, "remove pod interface", target, removePodLink),
		step(ctx, "remove host interface", target, removeHostLink),
	)
}

func step(ctx context.Context, name string, target dataplane.Target, do func(dataplane.Target) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return do(target)
}

// removePodLink leaves alone what is no veth and no netkit, lo above all: this data plane did not make it.
func removePodLink(target dataplane.Target) error {
	if target.NetNS == "" || target.IfName == "" {
		return nil
	}
	ns, err := openPair(target.NetNS)
	if errors.Is(err, dataplane.ErrNoNetNS) || errors.Is(err, errOwnNetNS) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ns.close()
	link, err := ns.pod.linkByName(target.IfName)
	if err != nil || link == nil {
		return err
	}
	switch link.(type) {
	case *netlink.Veth, *netlink.Netkit:
		return ns.pod.deleteLink(link)
	}
	return nil
}

// removeHostLink leaves alone what carries another owner: a newer sandbox of the same pod has the same interface name.
func removeHostLink(target dataplane.Target) error {
	if target.HostIfName == "" || target.Owner == "" {
		return nil
	}
	ns, err := openHostNetNS()
	if err != nil {
		return err
	}
	defer ns.Close()
	host, err := openSide(ns)
	if err != nil {
		return err
	}
	defer host.Close()
	link, err := host.linkByName(target.HostIfName)
	if err != nil || link == nil || link.Attrs().Alias != target.Owner {
		return err
	}
	return host.deleteLink(link)
}
