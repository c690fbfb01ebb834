// SPDX-License-Identifier: Apache-2.0

package link

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// value is struct ethtool_value.
type value struct{ cmd, data uint32 }

// request is struct ifreq with a pointer.
type request struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [unix.IFNAMSIZ - unsafe.Sizeof(uintptr(0))]byte
}

// transmitChecksum reports whether the transmit checksum offload of a link is on.
func (n *Netlink) transmitChecksum(name string) (bool, error) {
	v := value{cmd: unix.ETHTOOL_GTXCSUM}
	if err := n.ethtool(name, &v); err != nil {
		return false, fmt.Errorf("read checksum offload: %w", err)
	}
	return v.data != 0, nil
}

// turnOffTransmitChecksum does what `ethtool -K NAME tx off` does.
func (n *Netlink) turnOffTransmitChecksum(name string) error {
	return n.ethtool(name, &value{cmd: unix.ETHTOOL_STXCSUM})
}

// ethtool makes an ethtool request. It reads and writes v.
func (n *Netlink) ethtool(name string, v *value) error {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(v)
	r := request{data: unsafe.Pointer(v)}
	copy(r.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.ioctls), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return errno
	}
	return nil
}
