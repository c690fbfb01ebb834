// SPDX-License-Identifier: Apache-2.0

package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/hack/release/archive"
	"calico-cni/hack/release/build"
	"calico-cni/hack/release/licenses"
)

// Build compiles the content of the image for a platform.
func Build(ctx context.Context, tree build.Tree, p build.Platform) (Image, error) {
	dir, err := os.MkdirTemp("", "calico-cni-image-")
	if err != nil {
		return Image{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := Fill(ctx, tree, p, dir); err != nil {
		return Image{}, err
	}
	files, err := archive.Dir(dir, "")
	return Image{Platform: p, Files: files}, err
}

// Fill compiles the content into a directory, which becomes the root of the image.
func Fill(ctx context.Context, tree build.Tree, p build.Platform, root string) error {
	dir := filepath.Join(root, BinDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := tree.Binaries(ctx, p, dir); err != nil {
		return fmt.Errorf("build for %s: %w", p, err)
	}
	if err := tree.Plugins(ctx, p, dir); err != nil {
		return fmt.Errorf("build plugins for %s: %w", p, err)
	}
	return fillLicenses(ctx, tree.Root, dir, filepath.Join(root, licensesDir))
}

// licensesDir is the directory with the licence of the project and those of all linked modules.
const licensesDir = "licenses"

func fillLicenses(ctx context.Context, sources, binaries, dir string) error {
	files, err := licenses.OfDir(ctx, sources, binaries, "")
	if err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
