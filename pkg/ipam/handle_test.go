// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"calico-cni/pkg/ipam"
)

// TestAssignNamesHandleWithOtherID stores a row with the name of the request's handle and another ID.
func TestAssignNamesHandleWithOtherID(t *testing.T) {
	for _, c := range []struct {
		stored, want string
		kind         error
	}{
		{"net.A", "handle net.A of another container has the same name", ipam.ErrHandleTaken},
		{"other", `IPAMHandle net.a has handleID "other"; correct its handleID, or delete the object`, ipam.ErrMalformed},
		{"", `IPAMHandle net.a has handleID ""; correct its handleID, or delete the object`, ipam.ErrMalformed},
		{"net.a2", `IPAMHandle net.a has handleID "net.a2"`, ipam.ErrMalformed},
	} {
		s := newStore()
		if _, err := s.Handles().Create(context.Background(), "net.a", ipam.Handle{ID: c.stored}); err != nil {
			t.Fatal(err)
		}
		_, err := assign(s, only4("n", "net.a"))
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("ID %q: %v, want %q", c.stored, err, c.want)
		}
		if c.kind == ipam.ErrMalformed && strings.Contains(err.Error(), "same name") {
			t.Errorf("ID %q: the message names another cause: %v", c.stored, err)
		}
	}
}
