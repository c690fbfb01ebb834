// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
)

// listener takes connections that can die silently.
type listener struct{ net.Listener }

// Accept returns the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

// connection is one of a client. While it is silent, what either side writes is lost; it ends when the client closes it.
type connection struct {
	net.Conn
	silent atomic.Bool
}

// Read reads what the client wrote, unless the connection is silent.
func (c *connection) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.silent.Load() {
			return n, err
		}
	}
}

// Write writes to the client, unless the connection is silent.
func (c *connection) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type connectionKey struct{}

// connectionOf returns the connection that a request came on.
func connectionOf(r *http.Request) *connection {
	c := r.Context().Value(connectionKey{})
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*connection)
}
