package kube

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// serverURL returns the URL of a cluster's server. A path in it precedes the path of each request. An error wraps errServer,
// and does not quote the server.
func serverURL(server string) (*url.URL, error) {
	u, err := parseServer(server)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errServer, err)
	}
	return u, nil
}

// newTransport returns one that keeps to one connection: a command's first requests go out side by side, and each would
// otherwise dial and shake hands for itself.
func newTransport(c cluster, id *identity) (*http.Transport, error) {
	tlsConfig, err := tlsConfigOf(c, id)
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if c.Proxy != "" {
		u, err := url.Parse(c.Proxy)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "socks5" {
			return nil, errProxy
		}
		proxy = http.ProxyURL(u)
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Transport{
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxConnsPerHost:     1,
		DialContext:         dialer.DialContext,
		DisableCompression:  c.DisableCompression,
		Proxy:               proxy,
	}, nil
}

func tlsConfigOf(c cluster, id *identity) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	if len(c.CA) > 0 {
		// Whoever names a CA wants it to be asked.
		if config.RootCAs = x509.NewCertPool(); c.Insecure || !config.RootCAs.AppendCertsFromPEM(c.CA) {
			return nil, errCertificates
		}
	}
	if id.certificate != nil || id.plugin != nil {
		config.GetClientCertificate = id.present
	}
	return config, nil
}

// errRedirect: what a client sends is meant for its API server.
var errRedirect = errors.New("the server redirects to another place, and credentials are not sent there")

// stay follows a redirect to another path of the same server, and no other.
func stay(next *http.Request, before []*http.Request) error {
	first := before[0]
	if len(before) >= 10 || first.Method != http.MethodGet || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
		return errRedirect
	}
	return nil
}
