// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"calico-cni/pkg/install/hostfile"
)

func TestCheckSumRefusesACopyThatDiffers(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b := binary{name: "calico", path: write("calico", "v1")}
	var err error
	if b.sum, err = hostfile.SHA256(b.path); err != nil {
		t.Fatal(err)
	}
	if err := b.checkSum(write("equal", "v1")); err != nil {
		t.Errorf("an equal copy is refused: %v", err)
	}
	if err := b.checkSum(write("different", "v2")); !errors.Is(err, ErrBad) {
		t.Errorf("checkSum = %v; want ErrBad", err)
	}
}
