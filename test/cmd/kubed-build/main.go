// SPDX-License-Identifier: Apache-2.0

// Command kubed-build prints the path of kubed on standard output, after building it if it must: the step
// before the tests that takes its time with words. With -server it needs no more than the API server and etcd. It exits 1
// when the build fails and 130 when interrupted.
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
	server := flag.Bool("server", false, "the API server and etcd are enough")
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
