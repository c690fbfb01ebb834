// SPDX-License-Identifier: Apache-2.0

// Package kubed builds the binary of test/kube, which contains all of Kubernetes or only the API server and etcd, and
// keeps it in a cache.
//
//	CACHE/kubed-KEY/kubed          the binary
//	CACHE/kubed-KEY/kubed.sha256   its digest, in the format of sha256sum
//	CACHE/kubed.lock               held by the process that builds
//	CACHE/building-*/              an incomplete build
//
// KEY is a hash of all inputs of the build. A complete build is renamed to its place, and each use verifies the digest.
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

// CacheEnv is the environment variable with the cache directory. The default is calico-cni in the user's cache
// directory.
const CacheEnv = "CALICO_CNI_CACHE"

// kept is the number of binaries in the cache, enough for the branches that a developer works on.
const kept = 4

// Path returns the path of kubed with all commands, built from the checkout that contains the working directory. The
// first build takes minutes and prints its progress. Later calls find the binary in the cache.
//
// Path reads the environment and the working directory. It is for mains and tests; other code uses a Builder.
func Path(ctx context.Context, progress io.Writer) (string, error) {
	b, err := defaultBuilder(progress)
	if err != nil {
		return "", err
	}
	return b.Path(ctx)
}

// ServerPath is like Path, but only guarantees the commands etcd, kube-apiserver and server. It returns the binary with
// all commands if the cache contains it. Otherwise it builds one with these three, which takes less time.
func ServerPath(ctx context.Context, progress io.Writer) (string, error) {
	b, err := defaultBuilder(progress)
	if err != nil {
		return "", err
	}
	return b.serverOnly(ctx)
}

// defaultBuilder returns the builder for the working directory and the environment.
func defaultBuilder(progress io.Writer) (Builder, error) {
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

// serverTag is the build tag that excludes the commands of a cluster other than its API server and etcd.
const serverTag = "-tags=serveronly"

// serverOnly returns the complete binary if the cache contains it. Otherwise it builds one with serverTag.
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

// Builder builds the main package in the root directory of a module.
type Builder struct {
	Module   string    // directory of the module
	Cache    string    // directory of the cache, created if it does not exist
	Flags    []string  // flags of `go build` without -o
	Progress io.Writer // receives progress messages
}

// Path returns the path of the binary, and builds it if the cache does not contain it. If several processes call it,
// one builds and the others wait.
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
		return "", fmt.Errorf("create cache directory: %w: set %s to a writable directory", err, CacheEnv)
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
	return filepath.Join(dir, binaryName), prune(b.Cache)
}

// lock takes the lock of the cache. It prints a message if it has to wait.
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

// install builds in a temporary directory and renames it to dir.
func (b Builder) install(ctx context.Context, dir string) (err error) {
	temporary, err := os.MkdirTemp(b.Cache, "building-")
	if err != nil {
		return fmt.Errorf("create build directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
	if err := b.build(ctx, filepath.Join(temporary, binaryName)); err != nil {
		return err
	}
	if err := writeDigest(temporary); err != nil {
		return err
	}
	// If dir exists, it is damaged.
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove damaged kubed: %w", err)
	}
	if err := os.Rename(temporary, dir); err != nil {
		return fmt.Errorf("rename build of kubed: %w", err)
	}
	return nil
}
