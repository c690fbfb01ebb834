// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"os"

	"calico-cni/test/kubed"
	"calico-cni/test/sandbox"
)

// Outside builds everything that needs a network to be built (the API server, the binaries of Build, and whatever more
// builds into the same directory) and runs the program again in a sandbox. There PREFIX_KUBED and PREFIX_TOOLS contain
// their paths.
func Outside(ctx context.Context, prefix string, more ...func(ctx context.Context, tools string) error) (int, error) {
	return runInSandbox(ctx, prefix, more, sandbox.Run)
}

// OutsideInShards is like Outside with n concurrent sandboxes. PREFIX_SHARD is i/n there, with i from 0. With one
// sandbox the variable is not set, and the output is not delayed until the end.
func OutsideInShards(ctx context.Context, prefix string, n int) (int, error) {
	if n == 1 {
		return Outside(ctx, prefix)
	}
	return runInSandbox(ctx, prefix, nil, func(env ...string) (int, error) {
		return sandbox.RunShards(os.Stdout, n, prefix+"_SHARD", env...)
	})
}

func runInSandbox(ctx context.Context, prefix string, more []func(ctx context.Context, tools string) error,
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
