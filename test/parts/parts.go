// SPDX-License-Identifier: Apache-2.0

// Package parts builds what the nodes of a test cluster are made of, from Go modules alone: containerd, runc, and
// Kubernetes as programs; a probe and the project's own image as OCI archives. There is no registry and no download but
// that of modules.
package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"calico-cni/test/kubed"
)

// Probe is the image of calico-cni/test/probe. A pod's sandbox runs it, too.
const Probe = "localhost/probe:test"

// Parts are files on this machine.
type Parts struct {
	// Kubed is all of Kubernetes.
	Kubed string
	// Path is a PATH with containerd, its shim, ctr, runc and cnitool.
	Path string
	// Images are OCI archives.
	Images []string
	// Manifest is deploy/calico-cni.yaml, whose image is among Images.
	Manifest string
	// Root is the checkout that all is built from.
	Root string
}

// ErrManifest is returned for a manifest that names no image of ours.
var ErrManifest = errors.New("deploy/calico-cni.yaml names no image localhost/calico-cni:TAG: run make generate")

// static is the environment in which programs are built that need no library of the node's.
var static = []string{"CGO_ENABLED=0"}

// ownImage finds the image that the manifest asks for.
var ownImage = regexp.MustCompile(`image: (localhost/calico-cni):(\S+)`)

// Build returns the parts, built from the checkout around the working directory. The first time takes minutes; then only
// what has changed is built again. The programs are kept in the cache of test/kubed, the images in dir.
func Build(ctx context.Context, dir string, progress io.Writer) (Parts, error) {
	root, err := Root(ctx)
	if err != nil {
		return Parts{}, err
	}
	p := Parts{Root: root, Manifest: filepath.Join(root, "deploy", "calico-cni.yaml")}
	if p.Kubed, err = kubed.Path(ctx, progress); err != nil {
		return Parts{}, err
	}
	cache := filepath.Dir(filepath.Dir(p.Kubed))
	var path []string
	for _, b := range programs(filepath.Join(root, "test")) {
		bin, err := b.build(ctx, cache, progress)
		if err != nil {
			return Parts{}, err
		}
		path = append(path, bin)
	}
	tools := filepath.Join(dir, "tools")
	if _, err := goOutput(ctx, filepath.Join(root, "test"), static, "build", "-trimpath", "-o", tools+"/", "github.com/containernetworking/cni/cnitool"); err != nil {
		return Parts{}, err
	}
	p.Path = strings.Join(append(path, tools, "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ":")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Parts{}, err
	}
	fmt.Fprintln(progress, "cluster: building the plugins and the images")
	own, err := buildOwnImage(ctx, root, p.Manifest, dir)
	if err != nil {
		return Parts{}, err
	}
	probe, err := buildProbe(ctx, filepath.Join(root, "test"), dir)
	p.Images = []string{own, probe}
	return p, err
}

// Root returns the directory of the checkout around the working directory.
func Root(ctx context.Context) (string, error) {
	return goOutput(ctx, ".", nil, "list", "-m", "-f", "{{.Dir}}", "calico-cni")
}

// buildOwnImage makes the project's image as `make image` does, under the name that the manifest asks for.
func buildOwnImage(ctx context.Context, root, manifest, dir string) (string, error) {
	data, err := os.ReadFile(manifest)
	if err != nil {
		return "", fmt.Errorf("read manifest: %w", err)
	}
	found := ownImage.FindSubmatch(data)
	if found == nil {
		return "", ErrManifest
	}
	file := filepath.Join(dir, "calico-cni.tar")
	_, err = goOutput(ctx, filepath.Join(root, "hack", "release"), nil, "run", "./cmd/image", "-out", file,
		"-name", string(found[1]), "-version", string(found[2]), "-platforms", "linux/"+goarch)
	return file, err
}

// buildProbe makes the image of the probe.
func buildProbe(ctx context.Context, module, dir string) (string, error) {
	binary := filepath.Join(dir, "probe")
	if _, err := goOutput(ctx, module, static, "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./probe"); err != nil {
		return "", err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	archive, err := image(Probe, "/probe", program)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "probe.tar")
	return file, os.WriteFile(file, archive, 0o644)
}

// goOutput runs a go command in a directory, with more environment, and returns what it prints, without the last newline.
func goOutput(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var said []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = exit.Stderr
		}
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, said)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
