// SPDX-License-Identifier: Apache-2.0

// Command image writes the container image as an OCI archive.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"calico-cni/hack/release/build"
	"calico-cni/hack/release/image"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := flag.String("root", "../..", "`directory` of the sources")
	name := flag.String("name", "localhost/calico-cni", "`name` of the image, without a tag; as the nodes use it")
	version := flag.String("version", "", "`version`, which is also the tag")
	date := flag.Int64("date", 0, "date of all files, in `seconds` since 1970: that of the commit makes the build "+
		"reproducible")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "comma-separated `platforms`")
	out := flag.String("out", "../../dist/image.tar", "`file` to write")
	flag.Parse()
	if err := run(ctx, build.Tree{Root: *root, Version: *version}, *name, time.Unix(*date, 0), *platforms,
		*out); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tree build.Tree, name string, date time.Time, platforms, out string) error {
	targets, err := build.Parse(platforms)
	if err != nil {
		return err
	}
	var images []image.Image
	for _, p := range targets {
		i, err := image.Build(ctx, tree, p)
		if err != nil {
			return err
		}
		images = append(images, i)
	}
	data, err := image.Archive(images, name+":"+tree.Version, date)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return os.WriteFile(out, data, 0o644)
}
