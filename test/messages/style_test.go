// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"strings"
	"testing"

	"calico-cni/test/messages/words"
)

// checkStyle checks the rules for all messages.
func checkStyle(t *testing.T, msg string) {
	t.Helper()
	if found := words.Internal(msg); found != "" {
		t.Errorf("text of a Go package, %q, in: %s", found, msg)
	}
	if !words.HasRemedy(msg) {
		t.Errorf("no remedy in: %s", msg)
	}
	if strings.Contains(msg, secret) {
		t.Errorf("a secret in: %s", msg)
	}
	if strings.ContainsAny(msg, "\n\r\t") {
		t.Errorf("more than one line: %q", msg)
	}
	if clause := words.Doubled(msg); clause != "" {
		t.Errorf("%q is repeated in: %s", clause, msg)
	}
}
