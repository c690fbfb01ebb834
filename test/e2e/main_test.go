// Package e2e runs the built binaries as a container runtime does, on a node that is real but for the kubelet: the API
// server with RBAC, network namespaces, and an installation made by `install`.
package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

// n is the node that all tests share; each has pods of its own.
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
	if !sandbox.Inside() {
		return node.Outside(context.Background(), "E2E")
	}
	if err := sandbox.Enter(); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("/run", "node-")
	if err != nil {
		return 1, err
	}
	n, err = node.Start(context.Background(), node.Options{
		Kubed: os.Getenv("E2E_KUBED"), Tools: os.Getenv("E2E_TOOLS"), Deploy: filepath.Join("..", "..", "deploy"), Dir: dir,
	})
	if err != nil {
		return 1, err
	}
	code := m.Run()
	return code, n.Server.Stop()
}
