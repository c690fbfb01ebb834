// SPDX-License-Identifier: Apache-2.0

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

// hostPath refers to the network namespace of the calling thread.
const hostPath = "/proc/thread-self/ns/net"

// side is an open network namespace with a netlink handle in it.
type side struct {
	ns   netns.NsHandle
	path string
	*netlink.Handle
}

// openHost opens the network namespace of the calling thread.
func openHost() (side, error) {
	ns, err := netns.GetFromPath(hostPath)
	if err != nil {
		return side{}, fmt.Errorf("open network namespace of host: %w", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		ns.Close()
		return side{}, fmt.Errorf("open netlink: %w", err)
	}
	return side{ns, hostPath, h}, nil
}

// openPod opens the network namespace at path. The error wraps ErrNoNetNS if it does not exist, and ErrHostNetNS if it
// is the host's.
func openPod(path string, host side) (side, error) {
	ns, err := openNetNS(path)
	if err != nil {
		return side{}, err
	}
	pod := side{ns: ns, path: path}
	if ns.Equal(host.ns) {
		ns.Close()
		return side{}, fmt.Errorf("%s: %w: a pod needs a separate one", path, dataplane.ErrHostNetNS)
	}
	err = pod.enter(host, func() (err error) {
		if pod.Handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return fmt.Errorf("open netlink in %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		ns.Close()
		return side{}, err
	}
	return pod, nil
}

func (s side) close() {
	s.Close()
	s.ns.Close()
}

// pair is the pod's network namespace and the host's.
type pair struct {
	pod, host side
}

// openPair opens the network namespace at path, and that of the calling thread as the host's. If it returns an error,
// it has closed both.
func openPair(path string) (pair, error) {
	host, err := openHost()
	if err != nil {
		return pair{}, err
	}
	pod, err := openPod(path, host)
	if err != nil {
		host.close()
		return pair{}, err
	}
	return pair{pod, host}, nil
}

func (p pair) close() {
	p.pod.close()
	p.host.close()
}

// inPod runs f on the calling goroutine with its thread in the pod's network namespace. /proc/sys/net shows the
// namespace of the thread that opens a file, so f may access sysctls, but not from another goroutine.
func (p pair) inPod(f func() error) error { return p.pod.enter(p.host, f) }

// enter runs f on the calling goroutine with its thread in the namespace, and then returns the thread to the host's.
func (s side) enter(host side, f func() error) (err error) {
	runtime.LockOSThread()
	if err := netns.Set(s.ns); err != nil {
		runtime.UnlockOSThread()
		return explain(fmt.Errorf("enter network namespace %s: %w", s.path, err), toEnter)
	}
	defer func() {
		if back := netns.Set(host.ns); back != nil {
			// The thread stays locked, so that it runs no other goroutine and ends with this one.
			err = errors.Join(err, explain(fmt.Errorf("return to network namespace of host: %w", back), toEnter))
			return
		}
		runtime.UnlockOSThread()
	}()
	return f()
}

// openNetNS opens the pod's network namespace. Its error wraps ErrNoNetNS if the namespace does not exist.
func openNetNS(path string) (netns.NsHandle, error) {
	ns, err := netnspath.Open(path)
	if errors.Is(err, netnspath.ErrNone) {
		return ns, fmt.Errorf("%w: %w: the sandbox is gone", dataplane.ErrNoNetNS, err)
	}
	return ns, explainFile(err, toOpen)
}

// linkByName returns the link, or nil if there is none of that name.
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

// linkByIndex returns the link, or nil if there is none with that index.
func (s side) linkByIndex(index int) (netlink.Link, error) {
	if index <= 0 {
		return nil, nil
	}
	link, err := s.LinkByIndex(index)
	switch {
	case isGone(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up interface with index %d: %w", index, err)
	}
	return link, nil
}

// deleteLink removes a link with its peer, addresses and routes. It succeeds if the link is already gone.
func (s side) deleteLink(link netlink.Link) error {
	if err := s.LinkDel(link); err != nil && !isGone(err) {
		return fmt.Errorf("delete interface %s: %w", link.Attrs().Name, err)
	}
	return nil
}

func isGone(err error) bool {
	return errors.As(err, new(netlink.LinkNotFoundError)) || errors.Is(err, unix.ENODEV)
}
