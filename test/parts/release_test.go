// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"errors"
	"strings"
	"testing"
)

// TestMissingHistoryErrorNamesRemedy covers a shallow clone, which has only one commit.
func TestMissingHistoryErrorNamesRemedy(t *testing.T) {
	_, err := BuildRelease(t.Context(), t.TempDir(), "0123456789abcdef0123456789abcdef01234567", "")
	if !errors.Is(err, ErrNoHistory) || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("got %v, want ErrNoHistory with the remedy", err)
	}
}
