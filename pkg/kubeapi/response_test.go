// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"errors"
	"net/http"
	"testing"
)

// endless is a response of infinite length.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }

func TestEndlessResponseIsMalformed(t *testing.T) {
	if _, err := Receive(&http.Response{Body: endless{}}, Subject{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("Receive = %v", err)
	}
}
