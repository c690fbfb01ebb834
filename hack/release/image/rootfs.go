package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/hack/release/archive"
	"calico-cni/hack/release/build"
)

// Build compiles what the image for a platform holds.
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

// Fill compiles it into a directory, which is then the root of the image's files.
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
	return nil
}
