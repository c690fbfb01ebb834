// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"sync"

	"calico-cni/internal/deadline"
)

// protocol is the HTTP version that a server uses.
type protocol int

const (
	unknown protocol = iota
	http1
	http2
)

// http1Connections is the maximum number of concurrent requests over HTTP/1.1. The largest round of an ADD has eight
// requests. More connections cost more in handshakes than they save if a server responds in milliseconds.
const http1Connections = 4

// requestQueue holds requests back before they are sent. Over HTTP/2 no queue is needed, because one connection carries
// all requests. An HTTP/1.1 connection carries one request at a time. Until the first handshake has determined the
// protocol, other requests wait for it.
//
// The time limit of a request starts after this wait, so that a slow server delays later requests without failing them.
type requestQueue struct {
	mu    sync.Mutex
	known protocol
	// opening is closed when the request that opens the first connection has determined the protocol or has ended. It
	// is nil if there is no such request.
	opening chan struct{}
	// busy has an element for each request in progress over HTTP/1.1.
	busy chan struct{}
}

func newRequestQueue(known protocol) *requestQueue {
	return &requestQueue{known: known, busy: make(chan struct{}, http1Connections)}
}

// enter waits until a request may be sent. The caller calls leave when the request has ended. If the first connection
// fails, one of the waiting requests opens the next, so that the others still do not queue inside net/http.
func (q *requestQueue) enter(ctx context.Context) (leave func(), err error) {
	for {
		known, opening, first := q.look()
		switch {
		case first:
			return func() { q.opened(opening) }, nil
		case known == http2:
			return func() {}, nil
		case known == http1:
			return q.enterHTTP1(ctx)
		}
		select {
		case <-opening:
		case <-ctx.Done():
			return nil, deadline.Cause(ctx)
		}
	}
}

func (q *requestQueue) enterHTTP1(ctx context.Context) (leave func(), err error) {
	select {
	case q.busy <- struct{}{}:
		return func() { <-q.busy }, nil
	case <-ctx.Done():
		return nil, deadline.Cause(ctx)
	}
}

// look returns the protocol if it is known. Otherwise it returns a channel to wait for, and whether the caller must
// open the first connection.
func (q *requestQueue) look() (known protocol, opening chan struct{}, first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.known != unknown {
		return q.known, nil, false
	}
	if q.opening == nil {
		q.opening = make(chan struct{})
		return unknown, q.opening, true
	}
	return unknown, q.opening, false
}

func (q *requestQueue) protocol() protocol {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.known
}

// learn stores the protocol that a handshake has negotiated.
func (q *requestQueue) learn(p protocol) {
	q.mu.Lock()
	q.known = p
	opening := q.opening
	q.mu.Unlock()
	if opening != nil {
		q.opened(opening)
	}
}

// opened releases the requests that wait for the first connection.
func (q *requestQueue) opened(opening chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opening == opening {
		close(opening)
		q.opening = nil
	}
}
