// SPDX-License-Identifier: Apache-2.0

// Package oncefile records in a file that an action was done on this host since boot.
package oncefile

import (
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// File is the path of the file. Its existence is the record.
type File string

// Done reports whether the file exists. It returns false if that cannot be determined, because repeating the action is
// harmless.
func (f File) Done() bool {
	_, err := os.Stat(string(f))
	return err == nil
}

// Record creates the file and its directory.
func (f File) Record() error {
	if err := hostdir.Make(filepath.Dir(string(f)), 0o755); err != nil {
		return fmt.Errorf("record in %s: %w", f, err)
	}
	if err := safeopen.WriteFile(string(f), nil, 0o644); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
