package linux

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"calico-cni/internal/netnspath"
	"calico-cni/pkg/dataplane"
)

// side is one network namespace, open, with a netlink handle in it.
type side struct {
	ns netns.NsHandle
	*netlink.Handle
}

func openSide(ns netns.NsHandle) (side, error) {
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return side{}, fmt.Errorf("open netlink: %w", err)
	}
	return side{ns, h}, nil
}

func (s side) close() {
	s.Close()
	s.ns.Close()
}

// pair is the pod's network namespace and the host's.
type pair struct {
	pod, host side
}

// openPair opens the network namespace at path, and that of the calling thread as the host's.
// When it returns an error nothing stays open.
func openPair(path string) (_ pair, err error) {
	podNS, err := openNetNS(path)
	if err != nil {
		return pair{}, err
	}
	defer closeOnError(&podNS, &err)
	hostNS, err := openHostNetNS()
	if err != nil {
		return pair{}, err
	}
	defer closeOnError(&hostNS, &err)
	if podNS.Equal(hostNS) {
		return pair{}, fmt.Errorf("%s: %w: a pod needs one of its own", path, dataplane.ErrHostNetNS)
	}
	pod, err := openSide(podNS)
	if err != nil {
		return pair{}, err
	}
	host, err := openSide(hostNS)
	if err != nil {
		pod.Close()
		return pair{}, err
	}
	return pair{pod, host}, nil
}

func closeOnError(ns *netns.NsHandle, err *error) {
	if *err != nil {
		ns.Close()
	}
}

func (p pair) close() {
	p.pod.close()
	p.host.close()
}

// inPod runs f on the calling goroutine with its thread in the pod's network namespace. /proc/sys/net shows
// the namespace of the thread that opens a file in it, so f may use sysctls, but start no goroutine for them.
func (p pair) inPod(f func() error) (err error) {
	runtime.LockOSThread()
	if err := netns.Set(p.pod.ns); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter network namespace of pod: %w", err)
	}
	defer func() {
		if back := netns.Set(p.host.ns); back != nil {
			// Stays locked: the thread must not serve another goroutine, and ends with this one.
			err = errors.Join(err, fmt.Errorf("return to network namespace of host: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

func openHostNetNS() (netns.NsHandle, error) {
	ns, err := netns.GetFromPath("/proc/thread-self/ns/net")
	if err != nil {
		return ns, fmt.Errorf("open network namespace of host: %w", err)
	}
	return ns, nil
}

// openNetNS opens the pod's network namespace, or returns an error that wraps ErrNoNetNS where there is none.
func openNetNS(path string) (netns.NsHandle, error) {
	ns, err := netnspath.Open(path)
	if errors.Is(err, netnspath.ErrNone) {
		return ns, fmt.Errorf("%w: %w: the sandbox is gone", dataplane.ErrNoNetNS, err)
	}
	return ns, err
}

// linkByName returns the link, or nil when there is none of that name.
func (s side) linkByName(name string) (netlink.Link, error) {
	link, err := s.LinkByName(name)
	switch {
	case isGone(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up interface %s: %w", name, err)
	}
	return link, nil
}

// linkByIndex returns the link, or nil when there is none of that index.
func (s side) linkByIndex(index int) (netlink.Link, error) {
	if index <= 0 {
		return nil, nil
	}
	link, err := s.LinkByIndex(index)
	switch {
	case isGone(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up interface of index %d: %w", index, err)
	}
	return link, nil
}

// deleteLink removes a link and, with it, its peer, addresses and routes. One that is gone already is fine.
func (s side) deleteLink(link netlink.Link) error {
	if err := s.LinkDel(link); err != nil && !isGone(err) {
		return fmt.Errorf("delete interface %s: %w", link.Attrs().Name, err)
	}
	return nil
}

func isGone(err error) bool {
	return errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV)
}
