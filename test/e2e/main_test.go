// SPDX-License-Identifier: Apache-2.0

// Package e2e runs the built binaries like a container runtime, on a node without a kubelet but with a real API server
// with RBAC, network namespaces, and an installation by `install`.
package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// n is the node that all tests share. Each test has its own pods.
var n *node.Node

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	flag.Parse()
	if flag.Lookup("test.list").Value.String() != "" {
		return m.Run(), nil
	}
	if !sandbox.Inside() {
		n, err := shards()
		if err != nil {
			return 1, err
		}
		return node.OutsideInShards(context.Background(), "E2E", n)
	}
	if err := errors.Join(sandbox.Enter(), enterShard()); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("/run", "node-")
	if err != nil {
		return 1, err
	}
	n, err = node.Start(context.Background(), node.Options{
		Kubed: os.Getenv("E2E_KUBED"), Tools: os.Getenv("E2E_TOOLS"), Deploy: filepath.Join("..", "..", "deploy"),
		Dir: dir, Group: os.Getenv("E2E_GROUP"),
	})
	if err != nil {
		return 1, err
	}
	code := m.Run()
	return code, n.Server.Stop()
}
