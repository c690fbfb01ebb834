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
	return outside(ctx, prefix, more, sandbox.Run)
}

// OutsideInShards is Outside with n sandboxes at once. PREFIX_SHARD is i/n there, with i from 0. With one sandbox the variable
// is not set, and the output is not held back until the end.
func OutsideInShards(ctx context.Context, prefix string, n int) (int, error) {
	if n == 1 {
		return Outside(ctx, prefix)
	}
	return outside(ctx, prefix, nil, func(env ...string) (int, error) {
		return sandbox.RunShards(os.Stdout, n, prefix+"_SHARD", env...)
	})
}

func outside(ctx context.Context, prefix string, more []func(ctx context.Context, tools string) error,
	run func(env ...string) (int, error),
) (int, error) {
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
	return run(prefix+"_KUBED="+binary, prefix+"_TOOLS="+tools)
}
