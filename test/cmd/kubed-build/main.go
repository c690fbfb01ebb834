// SPDX-License-Identifier: Apache-2.0

// Command kubed-build builds kubed if necessary, with progress messages, and prints its path on standard output. With
// -server a binary with only the API server and etcd is sufficient. The exit code is 1 if the build fails and 130 if it
// is interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"calico-cni/test/kubed"
)

func main() {
	server := flag.Bool("server", false, "build only the API server and etcd")
	flag.Parse()
	path := kubed.Path
	if *server {
		path = kubed.ServerPath
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	binary, err := path(ctx, os.Stderr)
	stop()
	switch {
	case err == nil:
		fmt.Println(binary)
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "kubed-build:", err)
		os.Exit(1)
	}
}
