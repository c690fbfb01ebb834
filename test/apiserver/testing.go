// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"calico-cni/test/kubed"
)

// shared is the server that all tests of a test binary use.
var shared struct {
	sync.Mutex
	inMain bool // Main will stop the server
	server *Server
	err    error
	dir    string
}

// Main runs the tests of a package that uses ForTest, stops the shared server, and exits:
//
//	func TestMain(m *testing.M) { apiserver.Main(m) }
func Main(m *testing.M) {
	shared.Lock()
	shared.inMain = true
	shared.Unlock()
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// ForTest returns the API server that all tests of a test binary share. The first call starts it. The tests must use
// different namespaces and names.
//
// If kubed is not built yet, ForTest builds it. That takes minutes and may exceed the timeout of `go test`: run
// `go run ./cmd/kubed-build` in the module test before.
func ForTest(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.inMain {
		tb.Fatal("call apiserver.Main in TestMain: it stops the server that ForTest starts")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startShared(tb.Context())
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// startShared starts a server in a new directory.
func startShared(ctx context.Context) (*Server, error) {
	binary, err := kubed.ServerPath(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	if shared.dir, err = os.MkdirTemp("", "calico-cni-apiserver-"); err != nil {
		return nil, fmt.Errorf("create directory of API server: %w", err)
	}
	return Start(ctx, Options{Kubed: binary, Dir: filepath.Join(shared.dir, "state")})
}

// stopShared stops the server if it was started, and removes its directory.
func stopShared() error {
	shared.Lock()
	defer shared.Unlock()
	var err error
	if shared.server != nil {
		err = shared.server.Stop()
	}
	if shared.dir != "" {
		err = errors.Join(err, os.RemoveAll(shared.dir))
	}
	return err
}
