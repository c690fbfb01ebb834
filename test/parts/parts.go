// SPDX-License-Identifier: Apache-2.0

// Package parts builds the programs and images of a test cluster from Go modules: containerd, runc and Kubernetes, and
// OCI archives of the probe and of the project's image. It uses no registry and downloads only modules.
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

// Probe is the image of calico-cni/test/probe. It is also the image of the pod sandboxes.
const Probe = "localhost/probe:test"

// Parts are the files of a cluster.
type Parts struct {
	// Kubed is the binary of Kubernetes.
	Kubed string
	// Path is a PATH with containerd, its shim, ctr, runc and cnitool.
	Path string
	// Images are OCI archives.
	Images []string
	// Manifest is deploy/calico-cni.yaml, whose image is among Images.
	Manifest string
	// Root is the checkout from which everything is built.
	Root string
}

// ErrManifest reports a manifest without an image of the project.
var ErrManifest = errors.New("deploy/calico-cni.yaml names no image localhost/calico-cni:TAG: run make generate")

// static is the environment for the build of static programs.
var static = []string{"CGO_ENABLED=0"}

// ownImage matches the image in the manifest.
var ownImage = regexp.MustCompile(`image: (localhost/calico-cni):(\S+)`)

// Build builds the parts from the checkout that contains the working directory. The first build takes minutes. Later
// builds only build what has changed. The programs are kept in the cache of test/kubed, the images in dir.
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
	args := []string{"build", "-trimpath", "-o", tools + "/", "github.com/containernetworking/cni/cnitool"}
	if _, err := goOutput(ctx, filepath.Join(root, "test"), static, args...); err != nil {
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

// Root returns the directory of the checkout that contains the working directory.
func Root(ctx context.Context) (string, error) {
	return goOutput(ctx, ".", nil, "list", "-m", "-f", "{{.Dir}}", "calico-cni")
}

// buildOwnImage builds the project's image like `make image`, with the name in the manifest.
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

// buildProbe builds the image of the probe.
func buildProbe(ctx context.Context, module, dir string) (string, error) {
	binary := filepath.Join(dir, "probe")
	args := []string{"build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./probe"}
	if _, err := goOutput(ctx, module, static, args...); err != nil {
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

// goOutput runs a go command in a directory with additional environment and returns its output without the last
// newline.
func goOutput(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			stderr = exit.Stderr
		}
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
