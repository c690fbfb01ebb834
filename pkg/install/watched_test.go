// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/watch"
)

// authority is an Issuer that counts requests.
type authority struct {
	// issued counts tokens, tried the requests for one, asked the requests that check one.
	issued, tried, asked int
	lifetime             time.Duration
	// fails is the error of requests for a token. refuses has checks refuse the current token, and out has them fail.
	fails        error
	refuses, out bool
	now          func() time.Time
}

func (a *authority) Token(context.Context, string) (string, time.Time, error) {
	a.tried++
	if a.fails != nil {
		return "", time.Time{}, a.fails
	}
	a.issued++
	a.refuses = false
	return "opaque-" + strings.Repeat("t", a.issued), a.now().Add(a.lifetime), nil
}

func (a *authority) Accepted(context.Context, string) error {
	a.asked++
	if a.out {
		return errors.New("out of reach")
	}
	if a.refuses {
		return credentials.ErrRefused
	}
	return nil
}

// watched is a host that is watched, with a clock that the test sets. It is years ahead of the kernel's, so that
// files are old enough for their stamps to be settled.
type watched struct {
	*host
	*watch.Watcher
	clock     time.Time
	authority *authority
}

func newWatched(t *testing.T, set ...func(*host)) *watched {
	t.Helper()
	h := newHost(t)
	for _, f := range set {
		f(h)
	}
	w := &watched{host: h, clock: time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)}
	w.authority = &authority{lifetime: 24 * time.Hour, now: w.now}
	w.Watcher = newWatcher(newNode(h.cfg, h.deps(w.authority, w.now)))
	return w
}

func (w *watched) now() time.Time { return w.clock }

// look runs one round, and fails the test if the host is not in the desired state afterwards.
func (w *watched) look() {
	w.t.Helper()
	if err := w.Round(w.t.Context()); err != nil {
		w.t.Errorf("Round = %v\n%s", err, w.log.String())
	}
}

// pace returns the time between the rounds of a test that watches for hours. Short tests have fewer rounds, with more
// time between them.
func pace(step time.Duration, short int) time.Duration {
	if testing.Short() {
		return step * time.Duration(short)
	}
	return step
}

// get requests a path of the watcher's handler.
func (w *watched) get(path string) (code int, body string) {
	w.t.Helper()
	answer := httptest.NewRecorder()
	w.Handler().ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer.Code, string(data)
}
