// SPDX-License-Identifier: Apache-2.0

// Package binaries keeps the binaries in the host's directories equal to those of the image.
package binaries

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
)

var (
	// ErrMissing: no directory of the host contains the binaries.
	ErrMissing = errors.New("binaries are not on the host")
	// ErrBad: a copy is not the expected plugin. The file on the host stays as it is.
	ErrBad = errors.New("refused binary")
)

// plugins are the binaries of this project. An image must contain them, and they must answer VERSION.
var plugins = []string{"calico", "calico-ipam"}

// IsPlugin reports whether a plugin type is one of this project.
func IsPlugin(kind string) bool { return slices.Contains(plugins, kind) }

// installer is the name of this program. It stays in the image.
const installer = "install"

// binary is a file of the image. sum is its SHA-256 digest.
type binary struct {
	name string
	path string
	sum  [32]byte
}

// image is the directory of the binaries to install, without the names in skip.
type image struct {
	dir  string
	skip []string
	// listed caches its binaries: an image does not change.
	listed []binary
}

// binaries lists the regular files of the image, except hidden files, those to skip and the installer itself.
func (i *image) binaries() ([]binary, error) {
	if i.listed != nil {
		return i.listed, nil
	}
	entries, err := os.ReadDir(i.dir)
	if err != nil {
		return nil, fmt.Errorf("list binaries to install: %w; set --bin-source", err)
	}
	var listed []binary
	missing := slices.DeleteFunc(slices.Clone(plugins), i.skips)
	for _, e := range entries {
		b := binary{name: e.Name(), path: filepath.Join(i.dir, e.Name())}
		info, err := os.Stat(b.path)
		if err != nil {
			return nil, fmt.Errorf("inspect binary to install: %w", err)
		}
		if !info.Mode().IsRegular() || b.name == installer || strings.HasPrefix(b.name, ".") || i.skips(b.name) {
			continue
		}
		if b.sum, err = hostfile.SHA256(b.path); err != nil {
			return nil, fmt.Errorf("read binary to install: %w", err)
		}
		listed = append(listed, b)
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == b.name })
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s lacks %s; set --bin-source, or skip them with SKIP_CNI_BINARIES",
			fault.ErrConfig, i.dir, strings.Join(missing, ", "))
	}
	i.listed = listed
	return listed, nil
}

func (i *image) skips(name string) bool {
	return slices.ContainsFunc(i.skip, func(s string) bool { return strings.TrimSpace(s) == name })
}
