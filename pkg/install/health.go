package install

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// staleHealth is the age at which what was seen says nothing any more.
const staleHealth = 2 * time.Minute

// health tells over HTTP whether all is as it should be.
type health struct {
	now func() time.Time

	mu     sync.Mutex
	err    error
	looked time.Time
}

var errNotInstalled = errors.New("not installed yet")

func newHealth(now func() time.Time) *health {
	return &health{now: now, err: errNotInstalled, looked: now()}
}

// set takes what the last look found: nil when all is as it should be.
func (h *health) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.looked = err, h.now()
}

func (h *health) state() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := h.now().Sub(h.looked); age > staleHealth {
		return fmt.Errorf("nothing was looked at for %s", age.Round(time.Second))
	}
	return h.err
}

// ServeHTTP answers 200 when all is as it should be, else 503 and the reason.
func (h *health) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := h.state(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "ready")
}
