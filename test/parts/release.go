// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Release is an earlier release of the project.
type Release struct {
	// Commit is the commit that it is built from.
	Commit string
	// Image is the OCI archive.
	Image string
	// Manifest is the release's deploy/calico-cni.yaml with Name as the image.
	Manifest string
	Name     string
}

// ErrNoHistory reports that the checkout lacks the requested commit.
var ErrNoHistory = errors.New("this checkout lacks the history of an earlier commit")

// BuildRelease builds the plugins of an earlier commit from the history of this checkout into dir. The default for
// commit is the last tag before HEAD. If there is no tag, it is fallback.
func BuildRelease(ctx context.Context, dir, commit, fallback string) (Release, error) {
	root, err := Root(ctx)
	if err != nil {
		return Release{}, err
	}
	if commit == "" {
		commit = fallback
		if tag, err := git(ctx, root, "describe", "--tags", "--abbrev=0", "HEAD^"); err == nil {
			commit = string(bytes.TrimSpace(tag))
		}
	}
	id, err := git(ctx, root, "rev-parse", "--verify", "--short=12", commit+"^{commit}")
	if err != nil {
		return Release{}, fmt.Errorf("%w: %s: run git fetch --unshallow --tags, or name an existing commit: %w",
			ErrNoHistory, commit, err)
	}
	r := Release{Commit: string(bytes.TrimSpace(id))}
	sources := filepath.Join(dir, "before")
	if err := errors.Join(os.RemoveAll(sources), os.MkdirAll(sources, 0o755)); err != nil {
		return Release{}, err
	}
	archive, err := git(ctx, root, "archive", r.Commit)
	if err != nil {
		return Release{}, err
	}
	tar := exec.CommandContext(ctx, "tar", "-x", "-C", sources)
	tar.Stdin = bytes.NewReader(archive)
	if out, err := tar.CombinedOutput(); err != nil {
		return Release{}, fmt.Errorf("unpack %s: %w: %s", r.Commit, err, out)
	}
	return r, r.build(ctx, sources, dir)
}

// build builds the image and the manifest. The image has a name that differs from that of the current release.
func (r *Release) build(ctx context.Context, sources, dir string) error {
	manifest, err := os.ReadFile(filepath.Join(sources, "deploy", "calico-cni.yaml"))
	if err != nil {
		return fmt.Errorf("read manifest of %s: %w", r.Commit, err)
	}
	found := ownImage.FindSubmatch(manifest)
	if found == nil {
		return fmt.Errorf("%s: %w", r.Commit, ErrManifest)
	}
	const name = "localhost/calico-cni-before"
	r.Name = name + ":" + r.Commit
	r.Image, r.Manifest = filepath.Join(dir, "calico-cni-before.tar"), filepath.Join(dir, "calico-cni-before.yaml")
	text := strings.ReplaceAll(string(manifest), string(found[1])+":"+string(found[2]), r.Name)
	if err := os.WriteFile(r.Manifest, []byte(text), 0o644); err != nil {
		return err
	}
	_, err = goOutput(ctx, filepath.Join(sources, "hack", "release"), nil, "run", "./cmd/image", "-out", r.Image,
		"-name", name, "-version", r.Commit, "-platforms", "linux/"+goarch)
	return err
}

// git runs git in a directory.
func git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = exit.Stderr
		}
		return nil, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr))
	}
	return out, nil
}
