// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
)

// listener accepts connections that can become silent.
type listener struct{ net.Listener }

// Accept returns the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c}, nil
}

// connection is a connection of a client. A silent connection discards all data of both sides until the client closes
// it.
type connection struct {
	net.Conn
	silent atomic.Bool
}

// Read reads from the client. It discards the data if the connection is silent.
func (c *connection) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.silent.Load() {
			return n, err
		}
	}
}

// Write writes to the client. It discards the data if the connection is silent.
func (c *connection) Write(b []byte) (int, error) {
	if c.silent.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

type connectionKey struct{}

// connectionOf returns the connection of a request.
func connectionOf(r *http.Request) *connection {
	c := r.Context().Value(connectionKey{})
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*connection)
}
