// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/netfault"
	"calico-cni/pkg/invocation"
)

// Gates defines how an ADD polls readiness gates.
type Gates struct {
	Transport http.RoundTripper
	// Timeout limits the wait for one gate. Poll is the pause between two requests.
	Timeout, Poll time.Duration
}

// DefaultGates polls each gate every 5 s for up to 30 s.
//
// Source: Calico's configuration reference, readiness_gates.
func DefaultGates() Gates {
	return Gates{Transport: http.DefaultTransport, Timeout: 30 * time.Second, Poll: 5 * time.Second}
}

const (
	// gateAnswer limits one request to a gate.
	gateAnswer = 5 * time.Second
	policyPoll = 50 * time.Millisecond
)

// awaitGates waits until every readiness gate of the configuration has responded with a 2xx status.
func (a *addRun) awaitGates(ctx context.Context) error {
	for _, gate := range a.attachment.call.Conf.ReadinessGates {
		if err := a.gates.await(ctx, gate); err != nil {
			return err
		}
	}
	return nil
}

// await waits until a readiness gate responds with a 2xx status.
func (g Gates) await(ctx context.Context, gate string) error {
	ctx, cancel := deadline.Within(ctx, g.Timeout, "the wait for a readiness gate")
	defer cancel()
	client := &http.Client{Transport: g.Transport, Timeout: gateAnswer}
	var last error
	for {
		err := probe(ctx, client, gate)
		if err == nil {
			return nil
		}
		switch {
		case ctx.Err() == nil:
			last = err
		case last == nil:
			// The time limit ended the first request.
			last = deadline.Cause(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: readiness gate %s is closed: %w; check what answers there",
				invocation.ErrNodeNotReady, redacted(gate), last)
		case <-time.After(g.Poll):
		}
	}
}

func probe(ctx context.Context, client *http.Client, gate string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, gate, nil)
	if err != nil {
		return errors.New("it is not a URL")
	}
	answer, err := client.Do(request)
	if err != nil {
		return netfault.Plain(err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}

func redacted(gate string) string {
	u, err := url.Parse(gate)
	if err != nil {
		return "(not a URL)"
	}
	// The password and the query may be secrets.
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

// awaitPolicy waits for the file with which the node agent reports that it has programmed the policies of the endpoint.
// A timeout is not an error: the pod then starts before its policies, as it does without this wait.
func (a *addRun) awaitPolicy(ctx context.Context) error {
	c := a.attachment.call
	if c.Conf.PolicySetupTimeoutSeconds == 0 || !a.announces() {
		return nil
	}
	ctx, cancel := deadline.Within(ctx, c.Conf.PolicySetupTimeout(), "the wait for the policies of the pod")
	defer cancel()
	id := c.ID
	file := filepath.Join(c.Conf.EndpointStatusDir, id.StatusFileName())
	for {
		_, err := c.Host.ReadFile(file)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(err, fs.ErrNotExist) {
				err = errors.New("the file is not there")
			}
			c.Log.Warn("starting the pod before its policies are set up",
				"file", file, "waited", c.Conf.PolicySetupTimeout(), "error", err)
			return nil
		case <-time.After(policyPoll):
		}
	}
}
