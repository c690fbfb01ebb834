// Package oncefile remembers in a file that something was done on this host since it was booted.
package oncefile

import (
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/internal/safeopen"
)

// File is the path of the file, whose presence alone counts.
type File string

// Done reports whether the file is there. One that cannot be looked at counts as absent: what is done once too often does no harm.
func (f File) Done() bool {
	_, err := os.Stat(string(f))
	return err == nil
}

// Record makes the file and its directory.
func (f File) Record() error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o755); err != nil {
		return fmt.Errorf("remember in %s: %w", f, err)
	}
	if err := safeopen.WriteFile(string(f), nil, 0o644); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}
