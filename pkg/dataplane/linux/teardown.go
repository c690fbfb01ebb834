package linux

import (
	"bytes"
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

// removePodLink leaves alone what this data plane, or Calico's, did not make: an ADD that found its interface name
// taken is followed by a DEL, which must not remove what the ADD spared.
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
	if ours, err := ns.madeHere(link); err != nil || !ours {
		return err
	}
	return ns.pod.deleteLink(link)
}

// madeHere reports whether a link of the pod is one end of a pair whose other end is in the host's namespace and has
// the MAC address of every host end. Its name does not count: the prefix may have been configured anew.
func (p pair) madeHere(link netlink.Link) (bool, error) {
	switch link.(type) {
	case *netlink.Veth, *netlink.Netkit:
	default:
		return false, nil
	}
	peer, err := p.host.LinkByIndex(link.Attrs().ParentIndex)
	if isGone(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up peer of interface %s: %w", link.Attrs().Name, err)
	}
	return bytes.Equal(peer.Attrs().HardwareAddr, hostMAC) && peer.Attrs().ParentIndex == link.Attrs().Index, nil
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
	if err != nil || link == nil {
		return err
	}
	if alias := link.Attrs().Alias; alias != target.Owner && (alias != "" || !target.Unmarked) {
		return nil
	}
	return host.deleteLink(link)
}
