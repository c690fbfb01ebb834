// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// staleAfter is the age at which the result of a round is no longer valid.
const staleAfter = 2 * time.Minute

var errNotInstalled = errors.New("not installed yet")

// health serves the result of the last round over HTTP.
type health struct {
	now func() time.Time

	mu  sync.Mutex
	err error
	at  time.Time
}

func newHealth(now func() time.Time) *health {
	return &health{now: now, err: errNotInstalled, at: now()}
}

// set stores the result of a round: nil if the host is in the desired state.
func (h *health) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.at = err, h.now()
}

// state returns why the host is not ready, nil if it is.
func (h *health) state() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := h.now().Sub(h.at); age > staleAfter {
		return fmt.Errorf("nothing was checked for %s", age.Round(time.Second))
	}
	return h.err
}

// ServeHTTP answers 200 if the host is ready, else 503 and the reason.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := h.state(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}
