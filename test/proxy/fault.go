// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"net/http"
	"time"
)

// Fault is a fault of one request: the first one that matches.
type Fault struct {
	Name string
	// Matches selects requests. Nil selects all requests.
	Matches func(method, path string) bool
	// Always applies the fault to all requests that match, until the next call of Arm.
	Always bool
	// Status is the code of a Status object that the proxy returns instead of forwarding the request. RetryAfter is in
	// seconds. With Lose = After, the proxy forwards the request first and replaces the response.
	Status, RetryAfter int
	// Page replaces the Status object by an HTML page, as of a load balancer or a login page. Location is a redirect.
	Page     bool
	Location string
	// Lose closes the connection before the request is forwarded, or after the server has responded.
	Lose When
	// Silent keeps the connection open instead of closing it, but discards all data.
	Silent bool
	// Stall delays the request, unless the client cancels it. Closing Until, if it is not nil, ends the delay early.
	Stall time.Duration
	Until <-chan struct{}
	// Do is called at the moment that Lose names, for example to kill the client. The request is then lost.
	Do func()
}

// When is a point in time of a request.
type When int

// The points in time of a request.
const (
	Never When = iota
	Before
	After
)

// Arm sets the fault, or removes it if f is nil. After Arm the proxy no longer delays requests.
func (p *Proxy) Arm(f *Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.pause = f, 0
}

// Fired reports whether the fault has happened and is no longer set.
func (p *Proxy) Fired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.armed == nil
}

// fault returns the armed fault if it matches the request, and disarms it.
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

// answer writes the response of the fault.
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
		http.StatusConflict: "Conflict", http.StatusServiceUnavailable: "ServiceUnavailable",
		http.StatusTooManyRequests: "TooManyRequests", http.StatusInternalServerError: "InternalError",
	}[f.Status]
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"a fault of the test",` +
		`"reason":%q,"code":%d}`
	_, _ = fmt.Fprintf(w, status, reason, f.Status)
}

// discard is a ResponseWriter that discards the response.
type discard struct{ header http.Header }

// Header returns a header that is discarded.
func (d *discard) Header() http.Header { return d.header }

// Write discards b.
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader does nothing.
func (d *discard) WriteHeader(int) {}
