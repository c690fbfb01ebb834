// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// Once is the path of a file whose existence records that a piece of work was done on this host since boot.
type Once string

// Done reports whether the file exists. It returns false if that cannot be determined, because repeating the work is
// harmless.
func (o Once) Done() bool {
	_, err := os.Stat(string(o))
	return err == nil
}

// Record creates the file and its directory.
func (o Once) Record() error {
	if err := hostdir.Make(filepath.Dir(string(o)), 0o755); err != nil {
		return fmt.Errorf("record in %s: %w", o, err)
	}
	if err := safeopen.WriteFile(string(o), nil, 0o644); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
