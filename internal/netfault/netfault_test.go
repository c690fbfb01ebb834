// SPDX-License-Identifier: Apache-2.0

package netfault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"calico-cni/internal/netfault"
)

// get returns the error of a request to a server that handles its connections with serve.
func get(t *testing.T, scheme string, serve func(net.Conn)) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}
	}()
	return ask(t.Context(), t, scheme+"://u:hunter2@"+l.Addr().String(), new(http.Transport))
}

func ask(ctx context.Context, t *testing.T, address string, transport *http.Transport) error {
	t.Helper()
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err == nil {
		_ = answer.Body.Close()
		t.Fatalf("the request succeeds: %s", answer.Status)
	}
	return err
}

func read(conn net.Conn) { _, _ = conn.Read(make([]byte, 1024)) }

// respond returns a server that reads a request and writes this text.
func respond(text string) func(net.Conn) {
	return func(conn net.Conn) {
		read(conn)
		_, _ = io.WriteString(conn, text)
	}
}

func TestPlainNamesCause(t *testing.T) {
	proxy := func(r *http.Request) (*url.URL, error) { return url.Parse("http://127.0.0.1:1") }
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	defer secure.Close()
	ended, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"closed", "the connection was closed before the answer was complete", get(t, "http", read)},
		{
			"answer cut off", "the connection was closed before the answer was complete",
			get(t, "http", respond("HTTP/1.1 200 OK\r\n")),
		},
		{"not HTTP", "the answer is not HTTP", get(t, "http", respond("SSH-2.0-x\r\n\r\n"))},
		{"not a header", "the answer is not HTTP", get(t, "http", respond("HTTP/1.1 200 OK\r\nx\r\n\r\n"))},
		{"HTTP instead of TLS", "it does not speak TLS", get(t, "https", respond("HTTP/1.0 400 Bad\r\n\r\n"))},
		{"unknown CA", "its certificate cannot be verified", ask(t.Context(), t, secure.URL, new(http.Transport))},
		{
			"proxy that refuses", "no connection to the proxy: no connection to 127.0.0.1:1: connection refused; see proxy-url",
			ask(t.Context(), t, "https://192.0.2.1", &http.Transport{Proxy: proxy}),
		},
		{"limit passed", "there is no answer in time", ask(ended, t, "http://127.0.0.1:1", new(http.Transport))},
		{
			"unknown name", "the host name api.example is unknown to the DNS server 192.0.2.53:53",
			&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
				Err: "no such host", Name: "api.example", Server: "192.0.2.53:53", IsNotFound: true,
			}},
		},
		{
			"DNS server that does not answer", "the DNS server 192.0.2.53:53 does not answer for the host name api.example",
			&net.DNSError{Err: "i/o timeout", Name: "api.example", Server: "192.0.2.53:53", IsTimeout: true},
		},
		{
			"DNS server that fails", "the DNS server cannot look up the host name api.example",
			&net.DNSError{Err: "server misbehaving", Name: "api.example"},
		},
		{
			"connection not accepted", "192.0.2.1:443 does not accept the connection in time",
			&net.OpError{
				Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443},
				Err: os.ErrDeadlineExceeded,
			},
		},
		{
			"connection reset", "the connection was closed",
			&net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		},
		{
			"connection refused", "no connection to 127.0.0.1:1: connection refused",
			ask(t.Context(), t, "http://127.0.0.1:1", new(http.Transport)),
		},
	} {
		got := netfault.Plain(fmt.Errorf("send: %w", c.err)).Error()
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: a password in %s", c.name, got)
		}
	}
}

func TestPlainWrapsError(t *testing.T) {
	cause := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	if got := netfault.Plain(&url.Error{Op: "Get", URL: "https://h", Err: cause}); !errors.Is(got, syscall.ECONNRESET) {
		t.Errorf("%v does not wrap ECONNRESET", got)
	}
	other := errors.New("other")
	if got := netfault.Plain(other); got != other {
		t.Errorf("an unknown error becomes %v", got)
	}
}
