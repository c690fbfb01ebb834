package plugin

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"calico-cni/pkg/ipamplugin"
)

// mtuFile is where the node agent leaves the MTU that fits the node's links and encapsulation.
const mtuFile = "/var/lib/calico/mtu"

// mtu returns the MTU of the pod's interface, 0 for the kernel's default.
func (a *attachment) mtu() (int, error) {
	if a.conf.MTU != 0 {
		return a.conf.MTU, nil
	}
	data, err := a.ReadFile(mtuFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && a.conf.RequireMTUFile:
		return 0, fmt.Errorf("%w: %s does not exist, and require_mtu_file is set: the node agent writes it; see that the calico-node pod runs on this node", ipamplugin.ErrNotUp, mtuFile)
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read MTU file: %w", err)
	}
	mtu, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || mtu < 0 || mtu > 65535 {
		return 0, fmt.Errorf("MTU file %s holds %q, want a number up to 65535; the node agent writes it anew when restarted", mtuFile, data)
	}
	return mtu, nil
}
