// SPDX-License-Identifier: Apache-2.0

package atomicfile_test

import (
	"fmt"
	"os"
	"path/filepath"

	"calico-cni/internal/atomicfile"
)

// WriteFile replaces a file atomically and reports whether it wrote: a file with the same content and mode is left
// unchanged.
func ExampleWriteFile() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "10-calico.conflist")
	for range 2 {
		written, err := atomicfile.WriteFile(path, []byte("{}\n"), 0o600)
		fmt.Println("written:", written, "error:", err)
	}
	// Output:
	// written: true error: <nil>
	// written: false error: <nil>
}
