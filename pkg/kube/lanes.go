package kube

import (
	"context"
	"sync"

	"calico-cni/internal/deadline"
)

// protocol is what a server speaks.
type protocol int

const (
	unknown protocol = iota
	http1
	http2
)

// http1Connections is how many requests are under way at once over HTTP/1.1. The largest round of an ADD has eight; more
// connections cost more handshakes than they save where a server answers in milliseconds.
const http1Connections = 4

// lanes is the queue of a client's requests before they are sent. HTTP/2 needs none: one connection takes all. With
// HTTP/1.1 a connection takes one request at a time. Until the first handshake tells which it is, requests wait for it.
//
// A request waits here before its own time starts, so that a slow server delays the requests behind without failing them.
type lanes struct {
	mu    sync.Mutex
	known protocol
	// opening is closed when the request that opens the first connection has learned the protocol, or has ended; nil
	// while there is none.
	opening chan struct{}
	// busy holds an element for each request under way over HTTP/1.1.
	busy chan struct{}
}

func newLanes(known protocol) *lanes {
	return &lanes{known: known, busy: make(chan struct{}, http1Connections)}
}

// enter waits for the turn of a request. The caller calls leave when the request has ended.
func (l *lanes) enter(ctx context.Context) (leave func(), err error) {
	known, opening, first := l.look()
	if first {
		return func() { l.opened(opening) }, nil
	}
	if opening != nil {
		select {
		case <-opening:
		case <-ctx.Done():
			return nil, deadline.Cause(ctx)
		}
		known = l.protocol()
	}
	if known != http1 {
		return func() {}, nil
	}
	select {
	case l.busy <- struct{}{}:
		return func() { <-l.busy }, nil
	case <-ctx.Done():
		return nil, deadline.Cause(ctx)
	}
}

// look returns what is known. While nothing is, it returns what to wait for, and whether the caller is the one to open
// the first connection.
func (l *lanes) look() (known protocol, opening chan struct{}, first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known != unknown {
		return l.known, nil, false
	}
	if l.opening == nil {
		l.opening = make(chan struct{})
		return unknown, l.opening, true
	}
	return unknown, l.opening, false
}

func (l *lanes) protocol() protocol {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

// learn notes what a handshake has negotiated.
func (l *lanes) learn(p protocol) {
	l.mu.Lock()
	l.known = p
	opening := l.opening
	l.mu.Unlock()
	if opening != nil {
		l.opened(opening)
	}
}

// opened lets those go that wait for the first connection.
func (l *lanes) opened(opening chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opening == opening {
		close(opening)
		l.opening = nil
	}
}
