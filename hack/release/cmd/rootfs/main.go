// SPDX-License-Identifier: Apache-2.0

// Command rootfs writes the image's files for one platform into a directory. deploy/Dockerfile runs it, so that both
// images have the same content.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"calico-cni/hack/release/build"
	"calico-cni/hack/release/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := flag.String("root", "../..", "`directory` of the sources")
	version := flag.String("version", "", "`version`, as in v1.2.3")
	platform := flag.String("platform", "linux/amd64", "`platform`")
	out := flag.String("out", "", "`directory` to write to")
	flag.Parse()
	if err := run(ctx, build.Tree{Root: *root, Version: *version}, *platform, *out); err != nil {
		fmt.Fprintln(os.Stderr, "rootfs:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tree build.Tree, platform, out string) error {
	targets, err := build.Parse(platform)
	if err != nil {
		return err
	}
	if len(targets) != 1 || out == "" {
		return fmt.Errorf("want --out and one platform, not %q", platform)
	}
	return image.Fill(ctx, tree, targets[0], out)
}
