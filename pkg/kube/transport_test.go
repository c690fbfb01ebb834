// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"calico-cni/internal/undo"
	"calico-cni/pkg/kubeapi"
)

// network is an in-memory server for tests with a fake clock, with the connections to it.
type network struct {
	dialled chan net.Conn
	closed  chan struct{}
	mu      sync.Mutex
	conns   []*memoryConn
}

// memoryConn is the client's end of a connection. While it is mute, no data passes in either direction.
type memoryConn struct {
	net.Conn
	mute, closed atomic.Bool
}

func (c *memoryConn) Write(p []byte) (int, error) {
	if c.mute.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *memoryConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.mute.Load() {
			return n, err
		}
	}
}

func (c *memoryConn) Close() error {
	c.closed.Store(true)
	return c.Conn.Close()
}

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	n.dialled <- server
	c := &memoryConn{Conn: client}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns = append(n.conns, c)
	return c, nil
}

// Accept implements net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.dialled:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (n *network) Close() error { close(n.closed); return nil }

// Addr implements net.Listener.
func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) connections() []*memoryConn {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.conns
}

// inMemory starts an in-memory server with TLS and returns a client for it. Without http2 the server supports only
// HTTP/1.1.
func inMemory(t *testing.T, http2 bool, handler http.HandlerFunc) (*Client, *network) {
	t.Helper()
	cert, key := certificate(t, "server")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	n := &network{dialled: make(chan net.Conn, 100), closed: make(chan struct{})}
	s := &http.Server{
		Handler: api(handler), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	if !http2 {
		s.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	}
	var served sync.WaitGroup
	served.Go(func() { _ = s.ServeTLS(n, "", "") })
	c := loaded(t, "server: 'https://h', insecure-skip-tls-verify: true", "")
	c.sender.transport.negotiated.DialContext, c.sender.transport.http1.DialContext = n.dial, n.dial
	t.Cleanup(func() {
		c.Close()
		_ = s.Close()
		served.Wait()
	})
	return c, n
}

func TestSilentlyDeadConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int32
		c, n := inMemory(t, true, func(_ http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				writes.Add(1)
			}
		})
		things := kubeapi.NewObjects[contents](c, "g/v1", "things")
		if err := c.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}

		n.connections()[0].mute.Store(true)
		err := errors.New("an ADD fails")
		read := undo.Stack{func(ctx context.Context) error { return c.Ping(ctx) }}
		if read.OnError(t.Context(), &err); errors.Is(err, kubeapi.ErrUnavailable) {
			t.Errorf("a read in an undo step on a dead connection: %v, want success on another", err)
		}
		if got := len(n.connections()); got < 2 || !n.connections()[0].closed.Load() {
			t.Fatalf("%d connections, want the dead one closed and a second", got)
		}

		n.connections()[1].mute.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), undo.Grace)
		defer cancel()
		err = things.Delete(ctx, "a", "u", "1")
		if !errors.Is(err, kubeapi.ErrUnavailable) || ctx.Err() != nil {
			t.Errorf("a write on a dead connection: %v, want ErrUnavailable before the undo step ends", err)
		} else {
			says(t, err, "delete things a", "stopped answering")
		}
		if got := writes.Load(); got != 0 {
			t.Errorf("the write that may have been executed was repeated %d times", got)
		}
		if err := things.Delete(ctx, "a", "u", "1"); err != nil || writes.Load() != 1 || len(n.connections()) != 3 {
			t.Errorf("the next write: %v on connection %d", err, len(n.connections()))
		}
	})
}

// TestSlowServerKeepsItsConnection simulates a server that uses nearly the whole time limit of a request.
func TestSlowServerKeepsItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := inMemory(t, true, func(http.ResponseWriter, *http.Request) { time.Sleep(requestTimeout - time.Second) })
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if err := c.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if got := len(n.connections()); got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

// TestIdleConnectionIsClosed is about long-running processes: their idle connections are not kept alive by pings.
func TestIdleConnectionIsClosed(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, n := inMemory(t, http2, func(http.ResponseWriter, *http.Request) {})
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(idleTimeout + time.Second)
			synctest.Wait()
			if !n.connections()[0].closed.Load() {
				t.Errorf("HTTP/2 %v: the idle connection is open", http2)
			}
			if err := c.Ping(t.Context()); err != nil || len(n.connections()) != 2 {
				t.Errorf("HTTP/2 %v: %v on connection %d", http2, err, len(n.connections()))
			}
		})
	}
}

// TestQueueingDoesNotCountTowardsRequestTimeout simulates a server that supports only HTTP/1.1 and uses nearly the
// whole time limit of each request.
func TestQueueingDoesNotCountTowardsRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, most atomic.Int32
		c, n := inMemory(t, false, func(http.ResponseWriter, *http.Request) {
			if now := busy.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(requestTimeout - time.Second)
			busy.Add(-1)
		})
		var all sync.WaitGroup
		const requests = 3*http1Connections + 1
		for range requests {
			all.Go(func() {
				if err := c.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		// The first connection is opened by the request that determines the protocol.
		if got := int(most.Load()); got != http1Connections+1 || len(n.connections()) != got {
			t.Errorf("%d requests at once on %d connections, want %d", got, len(n.connections()), http1Connections+1)
		}

		// The context of the caller ends the wait.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range http1Connections {
			all.Go(func() { _ = c.Ping(t.Context()) })
		}
		synctest.Wait()
		if err := c.Ping(ctx); !errors.Is(err, kubeapi.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in the queue when the context ends: %v", err)
		}
		all.Wait()
	})
}

// TestRequestsContinueAfterFirstConnectionFails refuses the first connection. The server uses nearly the whole time
// limit of each request.
func TestRequestsContinueAfterFirstConnectionFails(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, n := inMemory(t, http2, func(http.ResponseWriter, *http.Request) { time.Sleep(requestTimeout - time.Second) })
			var dials atomic.Int32
			c.sender.transport.negotiated.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) == 1 {
					time.Sleep(time.Second)
					return nil, errors.New("connection refused")
				}
				return n.dial(ctx, network, address)
			}
			var all sync.WaitGroup
			var failed atomic.Int32
			for range 3 * http1Connections {
				all.Go(func() {
					if c.Ping(t.Context()) != nil {
						failed.Add(1)
					}
				})
			}
			all.Wait()
			if got := failed.Load(); got != 1 {
				t.Errorf("HTTP/2 %v: %d requests failed, want only the one that opened the connection", http2, got)
			}
		})
	}
}
