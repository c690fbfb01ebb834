// SPDX-License-Identifier: Apache-2.0

// Package kubed provides the binary of test/kube, which is all of Kubernetes or its API server alone: built once for a
// machine, and then found in a cache.
//
//	CACHE/kubed-KEY/kubed          the binary
//	CACHE/kubed-KEY/kubed.sha256   its digest, in the format of sha256sum
//	CACHE/kubed.lock               held by the process that builds
//	CACHE/building-*/              what a build makes before it is whole
//
// KEY is a hash of all that goes into the build. Nothing but a whole binary is ever in its place: it is built
// elsewhere in the cache and renamed, and its digest is compared each time it is asked for.
package kubed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
)

// CacheEnv names the environment variable with the cache directory that Path uses. Default is calico-cni in
// the user's cache directory.
const CacheEnv = "CALICO_CNI_CACHE"

// kept is how many binaries stay in the cache: those of the branches one works on.
const kept = 4

// Path returns the path of kubed with all commands, built from the checkout around the working directory. It is immediate
// when the cache has it. A first build takes minutes, and says on progress how far it is.
//
// Path reads the environment and the working directory: it is for mains, tests and TestMain. Everyone else
// takes a Builder.
func Path(ctx context.Context, progress io.Writer) (string, error) {
	b, err := builder(progress)
	if err != nil {
		return "", err
	}
	return b.Path(ctx)
}

// ServerPath is Path for those who need the commands etcd, kube-apiserver and server only. It returns the binary with all
// commands when the cache has it, and else builds one with these three, which takes less time.
func ServerPath(ctx context.Context, progress io.Writer) (string, error) {
	b, err := builder(progress)
	if err != nil {
		return "", err
	}
	return b.serverOnly(ctx)
}

func builder(progress io.Writer) (Builder, error) {
	wd, err := os.Getwd()
	if err != nil {
		return Builder{}, fmt.Errorf("find module of kubed: %w", err)
	}
	module, err := findModule(wd)
	if err != nil {
		return Builder{}, err
	}
	version, err := versionFlags(module)
	if err != nil {
		return Builder{}, err
	}
	cache := os.Getenv(CacheEnv)
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return Builder{}, fmt.Errorf("find cache directory: %w: set %s", err, CacheEnv)
		}
		cache = filepath.Join(user, "calico-cni")
	}
	return Builder{
		Module:   module,
		Cache:    cache,
		Flags:    []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w" + version},
		Progress: progress,
	}, nil
}

// serverTag is the build tag that leaves out what a cluster runs beside its API server.
const serverTag = "-tags=serveronly"

// serverOnly returns the whole binary when the cache has it, and else one that is built with the server's tag.
func (b Builder) serverOnly(ctx context.Context) (string, error) {
	key, err := b.key(ctx)
	if err != nil {
		return "", err
	}
	if binary, ok := b.cached(filepath.Join(b.Cache, "kubed-"+key)); ok {
		return binary, nil
	}
	b.Flags = append(slices.Clone(b.Flags), serverTag)
	return b.Path(ctx)
}

// Builder builds the main package in a module's root directory.
type Builder struct {
	Module   string    // directory of the module
	Cache    string    // directory of the cache, made when absent
	Flags    []string  // flags of `go build`, among them no -o
	Progress io.Writer // where waiting, progress and the compiler's errors are told
}

// Path returns the path of the binary, building it when the cache has none. Of several processes one builds,
// and the others wait for it.
func (b Builder) Path(ctx context.Context) (string, error) {
	key, err := b.key(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.Cache, "kubed-"+key)
	if binary, ok := b.cached(dir); ok {
		return binary, nil
	}
	if err := os.MkdirAll(b.Cache, 0o755); err != nil {
		return "", fmt.Errorf("make cache directory: %w: set %s to one that can be written", err, CacheEnv)
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	if binary, ok := b.cached(dir); ok {
		return binary, nil
	}
	if err := b.install(ctx, dir); err != nil {
		return "", err
	}
	return filepath.Join(dir, binaryName), sweep(b.Cache)
}

// lock takes the lock of the cache, and says so when it has to wait for it.
func (b Builder) lock(ctx context.Context) (unlock func(), err error) {
	file := flock.New(filepath.Join(b.Cache, "kubed.lock"))
	ok, err := file.TryLock()
	if err == nil && !ok {
		fmt.Fprintln(b.Progress, "kubed: another process is building, waiting for it")
		_, err = file.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("lock cache of kubed: %w", err)
	}
	return func() { _ = file.Unlock() }, nil
}

// install builds beside dir and puts the result in its place.
func (b Builder) install(ctx context.Context, dir string) (err error) {
	temporary, err := os.MkdirTemp(b.Cache, "building-")
	if err != nil {
		return fmt.Errorf("make build directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if err := b.build(ctx, filepath.Join(temporary, binaryName)); err != nil {
		return err
	}
	if err := seal(temporary); err != nil {
		return err
	}
	// What lies there, if anything, is damaged.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove damaged kubed: %w", err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return fmt.Errorf("put kubed in place: %w", err)
	}
	return nil
}
