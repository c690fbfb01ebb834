// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"errors"
	"strings"
	"testing"
)

// TestReleaseThatTheHistoryLacksSaysWhatToDo: a shallow clone has but one commit.
func TestReleaseThatTheHistoryLacksSaysWhatToDo(t *testing.T) {
	_, err := BuildRelease(t.Context(), t.TempDir(), "0123456789abcdef0123456789abcdef01234567", "")
	if !errors.Is(err, ErrNoHistory) || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("got %v, want that the history is missing, and how to get it", err)
	}
}
