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

// shared is the server of a test binary.
var shared struct {
	sync.Mutex
	inMain bool // Main will end the server
	server *Server
	err    error
	dir    string
}

// Main runs the tests of a package that uses ForTest, ends the server they shared, and exits:
//
//	func TestMain(m *testing.M) { apiserver.Main(m) }
func Main(m *testing.M) {
	shared.Lock()
	shared.inMain = true
	shared.Unlock()
	code := m.Run()
	if err := endShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// ForTest returns the API server that all tests of a test binary share, starting it for the first of them. Tests
// keep apart by namespaces and names.
//
// Where kubed is not built yet, this builds it, which takes minutes and may exceed the timeout of `go test`: run
// `go run ./cmd/kubed-build` in module test before.
func ForTest(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.inMain {
		tb.Fatal("call apiserver.Main in TestMain: it ends the server that ForTest starts")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = startShared(tb.Context())
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// startShared starts a server in a directory of its own.
func startShared(ctx context.Context) (*Server, error) {
	binary, err := kubed.ServerPath(ctx, os.Stderr)
	if err != nil {
		return nil, err
	}
	if shared.dir, err = os.MkdirTemp("", "calico-cni-apiserver-"); err != nil {
		return nil, fmt.Errorf("make directory of API server: %w", err)
	}
	return Start(ctx, Options{Kubed: binary, Dir: filepath.Join(shared.dir, "state")})
}

// endShared stops the server, if there is one, and removes its directory.
func endShared() error {
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
