// SPDX-License-Identifier: Apache-2.0

// Package benchipam measures what an allocation costs the API server in a nearly empty cluster and in the same cluster
// when it is full: requests, rounds and bytes.
//
// `go test` compares the two in a small cluster. `make bench-ipam` uses a cluster of 5,000 nodes and writes
// docs/ipam-cost.md.
package benchipam

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/sandbox"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if sandbox.Inside() {
		if err := sandbox.Enter(); err != nil {
			return 1, err
		}
		return m.Run(), nil
	}
	return node.Outside(context.Background(), "BENCH")
}

// startNode starts the node that represents all nodes. It ends with the test.
func startNode(t *testing.T) *node.Node {
	t.Helper()
	dir, err := os.MkdirTemp("/run", "node-")
	must(t, err)
	n, err := node.Start(t.Context(), node.Options{
		Kubed: os.Getenv("BENCH_KUBED"), Tools: os.Getenv("BENCH_TOOLS"), Deploy: filepath.Join("..", "..", "deploy"),
		Dir: dir,
	})
	must(t, err)
	t.Cleanup(func() { must(t, n.Server.Stop()) })
	log, err := n.Install(t.Context(), "CNI_ASSIGN_IPV6=true")
	if err != nil {
		t.Fatal(err, log)
	}
	return n
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
