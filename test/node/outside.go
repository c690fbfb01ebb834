package node

import (
	"context"
	"os"

	"calico-cni/test/kubed"
	"calico-cni/test/sandbox"
)

// Outside builds what takes a network to be built, the API server, the binaries of Build and whatever more builds into the
// same directory, and runs the program again in a sandbox. There PREFIX_KUBED and PREFIX_TOOLS lead to them.
func Outside(ctx context.Context, prefix string, more ...func(ctx context.Context, tools string) error) (int, error) {
	binary, err := kubed.ServerPath(ctx, os.Stderr)
	if err != nil {
		return 1, err
	}
	tools, err := os.MkdirTemp("", "calico-cni-tools-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(tools) }()
	for _, build := range append([]func(context.Context, string) error{Build}, more...) {
		if err := build(ctx, tools); err != nil {
			return 1, err
		}
	}
	return sandbox.Run(prefix+"_KUBED="+binary, prefix+"_TOOLS="+tools)
}
