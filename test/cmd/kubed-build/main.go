// Command kubed-build prints the path of kubed on standard output, after building it if it must: the step
// before the tests that takes its time with words. It exits 1 when the build fails and 130 when interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"calico-cni/test/kubed"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	path, err := kubed.Path(ctx, os.Stderr)
	stop()
	switch {
	case err == nil:
		fmt.Println(path)
	case errors.Is(err, context.Canceled):
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "kubed-build:", err)
		os.Exit(1)
	}
}
