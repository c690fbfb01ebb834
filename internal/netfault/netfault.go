// SPDX-License-Identifier: Apache-2.0

// Package netfault explains why a connection or an HTTP request failed. The errors of Go's packages net, net/http and
// crypto/tls contain names of functions and types, and no remedy.
package netfault

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// Plain returns an error that describes the cause without terms of Go, with a remedy if that is the same for every
// server. It omits the URL of the request, which may contain a password. It returns unknown errors unchanged. The
// result matches the same errors as err.
func Plain(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	if text := explain(err); text != "" {
		return plainError{text, err}
	}
	return err
}

func explain(err error) string {
	var name *net.DNSError
	var operation *net.OpError
	var refusal syscall.Errno
	isOperation := errors.As(err, &operation)
	switch {
	case errors.As(err, &name):
		return lookup(name)
	case isOperation && (operation.Op == "proxyconnect" || operation.Op == "socks connect"):
		return fmt.Sprintf("no connection to the proxy: %s; see proxy-url in the kubeconfig, or HTTPS_PROXY and NO_PROXY",
			Plain(operation.Err))
	case isOperation && operation.Op == "dial" && operation.Timeout():
		return fmt.Sprintf("%s does not accept the connection in time; see routes and firewalls on the way to it",
			operation.Addr)
	case isOperation && operation.Op == "dial" && operation.Addr != nil && errors.As(err, &refusal):
		return fmt.Sprintf("no connection to %s: %s", operation.Addr, refusal)
	}
	if text := tlsFault(err); text != "" {
		return text
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), strings.Contains(err.Error(), "server closed idle connection"):
		return "the connection was closed before the answer was complete"
	case strings.Contains(err.Error(), "malformed "):
		return "the answer is not HTTP"
	case isTimeout(err):
		return "there is no answer in time"
	}
	return ""
}

// lookup explains why a host name has no address.
func lookup(err *net.DNSError) string {
	server := "the DNS server"
	if err.Server != "" {
		server += " " + err.Server
	}
	switch {
	case err.IsNotFound:
		return fmt.Sprintf("the host name %s is unknown to %s; correct the name, or use an IP address", err.Name, server)
	case err.IsTimeout:
		return fmt.Sprintf("%s does not answer for the host name %s; see /etc/resolv.conf of this node, or use an IP address",
			server, err.Name)
	}
	return fmt.Sprintf("%s cannot look up the host name %s; see /etc/resolv.conf of this node, or use an IP address",
		server, err.Name)
}

// tlsFault explains why a TLS handshake failed, as far as possible without information about the server.
func tlsFault(err error) string {
	var unverified *tls.CertificateVerificationError
	var operation *net.OpError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unverified):
		return "its certificate cannot be verified with the CA certificates of this node; add its CA to them, or renew the " +
			"certificate"
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return "it does not speak TLS; correct the scheme or the port"
	case errors.As(err, &operation) && operation.Op == "remote error":
		return "it ends the TLS handshake with an error; see its log"
	case strings.Contains(err.Error(), "TLS handshake timeout"):
		return "it does not complete the TLS handshake in time; check whether it is overloaded"
	case strings.Contains(err.Error(), "tls: "):
		return "it breaks the TLS protocol; check whether something on the way to it changes the traffic"
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// plainError is an error with another text.
type plainError struct {
	text  string
	cause error
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.cause }
