// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/containernetworking/cni/pkg/skel"

	"calico-cni/internal/deadline"
)

// tryPatience is how long a trial waits for the API server.
const tryPatience = 2 * time.Second

// Try returns nil when the datastore that a configuration leads to is reached within 2 s, and ready: what `calico -t`
// says.
func (p *Plugin) Try(ctx context.Context, stdin io.Reader) error {
	data, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("read network configuration from standard input: %w", err)
	}
	c, err := p.Host.OnNode("TRY", &skel.CmdArgs{StdinData: data})
	if err != nil {
		return err
	}
	if err := c.Connect(); err != nil {
		return err
	}
	ctx, cancel := deadline.Within(ctx, tryPatience, "the look at the datastore")
	defer cancel()
	return c.NodeIPAM().Allocations().Cluster.Ready(ctx)
}
