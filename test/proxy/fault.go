// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"net/http"
	"time"
)

// Fault is what happens to one request, the first that Matches.
type Fault struct {
	Name string
	// Matches is nil for every request.
	Matches func(method, path string) bool
	// Always has it happen to all requests that match, until another fault is armed, or none.
	Always bool
	// Status answers with a Status of the API instead of asking the server; RetryAfter is in seconds. With Lose After the
	// server is asked first, and its answer is replaced.
	Status, RetryAfter int
	// Page has the answer of that Status be an HTML page, as of a load balancer or a login page; Location redirects there.
	Page     bool
	Location string
	// Lose breaks the connection off: before the server is asked, or after it has answered.
	Lose When
	// Silent has the connection die without a sign instead of breaking it off: it stays open, and nothing passes any more.
	Silent bool
	// Stall holds the request back before the server is asked, unless the client gives up meanwhile; Until, where it is not
	// nil, ends that when it is closed.
	Stall time.Duration
	Until <-chan struct{}
	// Do is called at the same time as Lose says, and then the request is lost: it kills the client.
	Do func()
}

// When is a moment of a request.
type When int

// The moments of a request.
const (
	Never When = iota
	Before
	After
)

// Arm sets the fault; nil takes it back. A proxy that is armed does not hold requests back.
func (p *Proxy) Arm(f *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.pause = f, 0
}

// Fired reports whether the fault has come to pass, and will not again.
func (p *Proxy) Fired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.armed == nil
}

// fault takes the armed fault if it is for this request.
func (p *Proxy) fault(r *http.Request) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.armed
	if f == nil || f.Matches != nil && !f.Matches(r.Method, r.URL.Path) {
		return nil
	}
	if !f.Always {
		p.armed = nil
	}
	return f
}

func (f *Fault) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	switch {
	case f == nil:
		next.ServeHTTP(w, r)
		return
	case f.Status != 0:
		if f.Lose == After {
			next.ServeHTTP(&discard{header: http.Header{}}, r)
		}
		f.answer(w)
		return
	case f.Stall > 0:
		select {
		case <-time.After(f.Stall):
			next.ServeHTTP(w, r)
			return
		case <-f.Until:
			next.ServeHTTP(w, r)
			return
		case <-r.Context().Done():
		}
	case f.Lose == After:
		next.ServeHTTP(&discard{header: http.Header{}}, r)
	}
	if f.Do != nil {
		f.Do()
	}
	if f.Silent {
		connectionOf(r).silent.Store(true)
		return
	}
	panic(http.ErrAbortHandler)
}

// answer is what the API server says in such a case.
func (f *Fault) answer(w http.ResponseWriter) {
	if f.Page {
		w.Header().Set("Content-Type", "text/html")
		if f.Location != "" {
			w.Header().Set("Location", f.Location)
		}
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprint(w, "<html><body>a page of the test</body></html>")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(f.RetryAfter))
	}
	w.WriteHeader(f.Status)
	reason := map[int]string{
		http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden",
		http.StatusConflict: "Conflict", http.StatusServiceUnavailable: "ServiceUnavailable", http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError",
	}[f.Status]
	_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"a fault of the test","reason":%q,"code":%d}`, reason, f.Status)
}

// discard is a client that is not there any more.
type discard struct{ header http.Header }

// Header returns a header that nobody reads.
func (d *discard) Header() http.Header { return d.header }

// Write takes everything.
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (d *discard) WriteHeader(int) {}
