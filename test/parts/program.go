// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/gofrs/flock"
)

const goarch = runtime.GOARCH

// module is a module whose tools are programs of a node, with the settings of their build.
type module struct {
	name, dir string
	env       []string
	flags     []string
}

// programs returns the modules below the directory test.
func programs(test string) []module {
	return []module{
		{
			name: "containerd", dir: filepath.Join(test, "containerd"), env: []string{"CGO_ENABLED=0"},
			// The excluded snapshotters need libraries and devices that the nodes do not have.
			flags: []string{"-trimpath", "-tags=no_btrfs,no_devmapper,no_zfs", "-ldflags=-s -w"},
		},
		{
			// runc enters namespaces in C and needs libseccomp.
			name: "runc", dir: filepath.Join(test, "runc"), env: []string{"CGO_ENABLED=1"},
			flags: []string{"-trimpath", "-tags=netgo,osusergo,seccomp", "-ldflags=-s -w -extldflags -static"},
		},
	}
}

// build returns a directory of the cache with the module's tools. If several processes call it, only one builds.
func (m module) build(ctx context.Context, cache string, progress io.Writer) (dir string, err error) {
	key, err := m.key(ctx)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache, m.name+"-"+key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	lock := flock.New(filepath.Join(cache, m.name+".lock"))
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("lock cache of %s: %w", m.name, err)
	}
	defer func() { _ = lock.Unlock() }()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	fmt.Fprintf(progress, "%s: building, which takes a minute or two\n", m.name)
	// This process holds the lock, so it can remove the leftovers of interrupted builds, and older versions.
	old, err := filepath.Glob(filepath.Join(cache, m.name+"-*"))
	if err != nil {
		return "", err
	}
	for _, path := range old {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return "", err
	}
	building := filepath.Join(cache, m.name+"-building")
	args := append([]string{"build", "-o", building + "/"}, m.flags...)
	if _, err := goOutput(ctx, m.dir, m.env, append(args, "tool")...); err != nil {
		return "", fmt.Errorf("build %s: %w", m.name, err)
	}
	if err := os.Rename(building, dir); err != nil {
		return "", fmt.Errorf("rename build of %s: %w", m.name, err)
	}
	return dir, nil
}

// key returns a hash of all inputs of the build.
func (m module) key(ctx context.Context) (string, error) {
	h := sha256.New()
	toolchain, err := goOutput(ctx, m.dir, nil, "env", "GOVERSION", "GOARCH")
	if err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%q\n%q\n%q\n", toolchain, m.env, m.flags)
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			return "", err
		}
		h.Write(data)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}
