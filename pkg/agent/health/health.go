// SPDX-License-Identifier: Apache-2.0

// Package health serves and asks the liveness and readiness of the agent, with the paths and the port of Felix.
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// The paths of the checks.
const (
	LivenessPath  = "/liveness"
	ReadinessPath = "/readiness"
)

// maxBody bounds the body of a response that Probe reads.
const maxBody = 64 << 10

// Check reports whether a check passes, and lines that say why not or what else is wrong.
type Check func() (ok bool, lines []string)

// Handler serves both checks: status 200 if the check passes, 503 if not, and the lines as plain text.
func Handler(live, ready Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+LivenessPath, handler(live, "alive"))
	mux.Handle("GET "+ReadinessPath, handler(ready, "ready"))
	return mux
}

func handler(check Check, good string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		ok, lines := check()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if ok {
			lines = append([]string{good}, lines...)
		} else {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, strings.Join(lines, "\n")+"\n")
	})
}

// ErrUnhealthy: the agent answered that the check does not pass.
var ErrUnhealthy = errors.New("check failed")

// Probe asks a running agent. The error has the lines of the answer.
func Probe(ctx context.Context, client *http.Client, host, port, path string) error {
	url := "http://" + net.JoinHostPort(host, port) + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w; check that calico-node runs with FELIX_HEALTHENABLED=true", url, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%w: %s", ErrUnhealthy, strings.TrimSpace(string(body)))
	}
	return nil
}
