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

// tryTimeout is how long a trial waits for the API server.
const tryTimeout = 2 * time.Second

// Try returns nil if the datastore of a configuration is ready and responds within 2 s. It implements `calico -t`.
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
	ctx, cancel := deadline.Within(ctx, tryTimeout, "the check of the datastore")
	defer cancel()
	return c.NodeIPAM().Allocations().Cluster.Ready(ctx)
}
