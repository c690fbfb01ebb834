// SPDX-License-Identifier: Apache-2.0

// Command release writes the published files into a directory: for each platform an archive of the binaries and a
// software bill of materials, and the checksums of all files.
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/hack/release/archive"
	"calico-cni/hack/release/build"
	"calico-cni/hack/release/licenses"
	"calico-cni/hack/release/sbom"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := flag.String("root", "../..", "`directory` of the sources")
	version := flag.String("version", "", "`version`, as in v1.2.3")
	date := flag.Int64("date", 0, "date of all files, in `seconds` since 1970: that of the commit makes the build "+
		"reproducible")
	platforms := flag.String("platforms", "linux/amd64,linux/arm64,linux/s390x,linux/ppc64le",
		"comma-separated `platforms`")
	out := flag.String("out", "../../dist", "`directory` to write to")
	flag.Parse()
	if err := run(ctx, build.Tree{Root: *root, Version: *version}, time.Unix(*date, 0), *platforms, *out); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, tree build.Tree, date time.Time, platforms, out string) error {
	targets, err := build.Parse(platforms)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var sums strings.Builder
	for _, p := range targets {
		files, err := release(ctx, tree, date, p)
		if err != nil {
			return fmt.Errorf("release for %s: %w", p, err)
		}
		for _, f := range files {
			if err := os.WriteFile(filepath.Join(out, f.Name), f.Data, 0o644); err != nil {
				return err
			}
			fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(f.Data), f.Name)
		}
	}
	return os.WriteFile(filepath.Join(out, "calico-cni-"+tree.Version+"-sha256sums.txt"), []byte(sums.String()), 0o644)
}

// release returns the archive for a platform and its bill of materials.
func release(ctx context.Context, tree build.Tree, date time.Time, p build.Platform) ([]archive.File, error) {
	dir, err := os.MkdirTemp("", "calico-cni-release-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := tree.Binaries(ctx, p, dir); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("calico-cni-%s-%s-%s", tree.Version, p.OS, p.Arch)
	var binaries []string
	for _, b := range build.Own {
		binaries = append(binaries, filepath.Join(dir, b))
	}
	parts, err := sbom.Of(binaries, tree.Version, date)
	if err != nil {
		return nil, err
	}
	packed, err := pack(ctx, tree.Root, dir, name, date)
	if err != nil {
		return nil, err
	}
	return []archive.File{{Name: name + ".tar.gz", Data: packed}, {Name: name + ".cdx.json", Data: parts}}, nil
}

// pack returns the archive: the binaries and the licences, in a directory with the archive's name.
func pack(ctx context.Context, root, dir, name string, date time.Time) ([]byte, error) {
	files, err := archive.Dir(dir, name)
	if err != nil {
		return nil, err
	}
	texts, err := licenses.OfDir(ctx, root, dir, name)
	if err != nil {
		return nil, err
	}
	data, err := archive.Tar(append(files, texts...), date)
	if err != nil {
		return nil, err
	}
	return archive.Gzip(data)
}
