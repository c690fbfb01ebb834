// SPDX-License-Identifier: Apache-2.0

package nettest

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// DropCapability drops a capability (unix.CAP_...) of the calling thread. The caller must lock its goroutine to the
// thread and never unlock it, so that the thread exits with the goroutine.
func DropCapability(capability int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	set := &data[capability/32]
	set.Effective &^= 1 << (capability % 32)
	set.Permitted &^= 1 << (capability % 32)
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capability %d: %w", capability, err)
	}
	return nil
}
