// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestProbe(t *testing.T) {
	ok, lines := false, []string{"routes: waiting", "links: no"}
	server := httptest.NewServer(Handler(
		func() (bool, []string) { return true, nil },
		func() (bool, []string) { return ok, lines }))
	defer server.Close()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := Probe(t.Context(), http.DefaultClient, host, port, LivenessPath); err != nil {
		t.Error(err)
	}
	err = Probe(t.Context(), http.DefaultClient, host, port, ReadinessPath)
	if !errors.Is(err, ErrUnhealthy) || err.Error() != "check failed: routes: waiting\nlinks: no" {
		t.Error(err)
	}
	ok = true
	if err := Probe(t.Context(), http.DefaultClient, host, port, ReadinessPath); err != nil {
		t.Error(err)
	}
	server.Close()
	if err := Probe(t.Context(), http.DefaultClient, host, port, LivenessPath); err == nil || errors.Is(err, ErrUnhealthy) {
		t.Errorf("agent that does not run: %v", err)
	}
}
