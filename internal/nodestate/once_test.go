// SPDX-License-Identifier: Apache-2.0

package nodestate_test

import (
	"path/filepath"
	"testing"

	"calico-cni/internal/nodestate"
)

func TestOnceIsDoneAfterRecord(t *testing.T) {
	f := nodestate.Once(filepath.Join(t.TempDir(), "below", "done"))
	if f.Done() {
		t.Error("done before it was recorded")
	}
	for range 2 {
		if err := f.Record(); err != nil || !f.Done() {
			t.Errorf("recorded: %v, done: %v", err, f.Done())
		}
	}
	if err := nodestate.Once(filepath.Join(string(f), "below a file")).Record(); err == nil {
		t.Error("no error for a path that cannot be created")
	}
}
