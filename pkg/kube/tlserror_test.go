// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"calico-cni/pkg/kubeapi"
)

// authority is a CA for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, change func(*x509.Certificate)) authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:  x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), SerialNumber: big.NewInt(1),
	}
	if change != nil {
		change(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return authority{sign(t, template, template, key, key), key}
}

func sign(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// issue creates a certificate for a server at 127.0.0.1.
func (a authority) issue(t *testing.T, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "leaf"}, SerialNumber: big.NewInt(2),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{sign(t, template, a.certificate, key, a.key).Raw}, PrivateKey: key}
}

// trusted returns the cluster fields of a kubeconfig with this CA.
func (a authority) trusted() string {
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
	return "certificate-authority-data: " + base64.StdEncoding.EncodeToString(data)
}

// asUser returns the user fields of a kubeconfig with this certificate.
func asUser(t *testing.T, c tls.Certificate) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", encode("CERTIFICATE", c.Certificate[0]),
		encode("PRIVATE KEY", key))
}

// serveTLS starts a server with TLS, or one that handles connections with raw, and returns its address.
func serveTLS(t *testing.T, config *tls.Config, raw func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if raw != nil {
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				raw(c)
				_ = c.Close()
			}
		}()
		return l.Addr().String()
	}
	s := &http.Server{
		Handler: api(func(http.ResponseWriter, *http.Request) {}), TLSConfig: config,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	t.Cleanup(func() { _ = s.Close() })
	go func() { _ = s.ServeTLS(l, "", "") }()
	return l.Addr().String()
}

// alerts ends every handshake with an alert.
func alerts(code byte) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte{0x15, 3, 3, 0, 2, 2, code})
	}
}

// TestTLSErrorsNameCauseAndRemedy connects to real servers, each with one fault.
func TestTLSErrorsNameCauseAndRemedy(t *testing.T) {
	ca, other := newAuthority(t, nil), newAuthority(t, nil)
	expiredCA := newAuthority(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	narrow := newAuthority(t, func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedIPRanges = []string{"a.test"}, []*net.IPNet{{
			IP:   net.IPv4(10, 0, 0, 0).To4(),
			Mask: net.CIDRMask(8, 32),
		}}
	})
	with := func(a authority, change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.issue(t, change)}}
	}
	clients := func(version uint16) *tls.Config {
		c := with(ca, nil)
		c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, x509.NewCertPool(), version
		c.ClientCAs.AddCert(ca.certificate)
		return c
	}
	old := with(ca, nil)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	expired := asUser(t, ca.issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	for _, c := range []struct {
		name          string
		server        *tls.Config
		raw           func(net.Conn)
		trusted, user string
		says          [2]string // cause and remedy
	}{
		{
			"expired", with(ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), nil,
			ca.trusted(), "",
			[2]string{"expired at ", "renew it on the control plane"},
		},
		{
			"not yet valid", with(ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), nil,
			ca.trusted(), "",
			[2]string{"is not valid before ", "clock of this node, which is behind"},
		},
		{
			"expired CA", with(expiredCA, nil), nil, expiredCA.trusted(), "",
			[2]string{`the CA certificate "test CA"`, "in the certificate-authority of kubeconfig"},
		},
		{
			"another CA", with(other, nil), nil, ca.trusted(), "",
			[2]string{
				"is not signed by the CA certificate in kubeconfig",
				"replace its certificate-authority by that of the cluster",
			},
		},
		{"no CA", with(ca, nil), nil, "", "", [2]string{
			"is signed by a CA that this node does not trust",
			"set its certificate-authority",
		}},
		{
			"another address", with(ca, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)} }),
			nil, ca.trusted(), "",
			[2]string{"is not valid for 127.0.0.1, but for 10.0.0.1", "tls-server-name"},
		},
		{
			"names only", with(ca, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"a.test"} }),
			nil,
			ca.trusted(), "",
			[2]string{"but for a.test", "tls-server-name"},
		},
		{
			"no name", with(ca, func(c *x509.Certificate) { c.IPAddresses = nil }), nil, ca.trusted(), "",
			[2]string{"no name or address", "issue the certificate for 127.0.0.1 as well"},
		},
		{
			"another name", with(ca, nil), nil, ca.trusted() + ", tls-server-name: b.test", "",
			[2]string{"is not valid for b.test, but for 127.0.0.1", "tls-server-name"},
		},
		{
			"not for servers", with(ca, func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}), nil, ca.trusted(), "",
			[2]string{"is not for a server", "serverAuth"},
		},
		{
			"outside the CA's names", with(narrow, nil), nil, narrow.trusted(), "",
			[2]string{"breaks the constraints of its CA", "issue it again"},
		},
		{"old TLS", old, nil, ca.trusted(), "", [2]string{"speaks no TLS 1.2 or newer", "--tls-min-version"}},
		{
			"no client certificate, TLS 1.3", clients(tls.VersionTLS13), nil, ca.trusted(), "",
			[2]string{"client certificate", "client"},
		},
		{
			"another's client certificate, TLS 1.2", clients(tls.VersionTLS12), nil, ca.trusted(),
			asUser(t, other.issue(t, nil)),
			[2]string{"refuses the client certificate", "client CA of the API server"},
		},
		{
			"another's client certificate, TLS 1.3", clients(tls.VersionTLS13), nil, ca.trusted(),
			asUser(t, other.issue(t, nil)),
			[2]string{"client certificate", "client CA"},
		},
		{
			"expired client certificate, TLS 1.2", clients(tls.VersionTLS12), nil, ca.trusted(), expired,
			[2]string{"it has expired", "renew it"},
		},
		{
			"expired client certificate, TLS 1.3", clients(tls.VersionTLS13), nil, ca.trusted(), expired,
			[2]string{"client certificate", "expired"},
		},
		{
			"revoked client certificate", nil, alerts(alertRevoked), ca.trusted(), "",
			[2]string{"it is revoked", "issue another"},
		},
		{
			"no cipher suite", nil, alerts(alertHandshakeFailure), ca.trusted(), "",
			[2]string{"no cipher suite", "--tls-cipher-suites"},
		},
		{
			"unknown name", nil, alerts(alertUnrecognizedName), ca.trusted(), "",
			[2]string{"no certificate for the name", "tls-server-name"},
		},
		{"internal error", nil, alerts(80), ca.trusted(), "", [2]string{"alert 80", "log of the API server"}},
		{
			"HTTP", nil, func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") },
			ca.trusted(),
			"",
			[2]string{"answers in plain HTTP", "correct scheme or port"},
		},
		{
			"SSH", nil, func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") }, ca.trusted(), "",
			[2]string{"does not speak TLS", "correct the port"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := serveTLS(t, c.server, c.raw)
			cluster := "server: 'https://" + address + "'"
			if c.trusted != "" {
				cluster += ", " + c.trusted
			}
			err := loaded(t, cluster, c.user).Ping(t.Context())
			if !errors.Is(err, kubeapi.ErrUnavailable) {
				t.Fatalf("%v, want ErrUnavailable", err)
			}
			says(t, err, "get version", address, c.says[0], c.says[1])
			quiet(t, err, "x509:", "tls:", "EOF")
		})
	}
}

func TestHangingHandshakeIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := loaded(t, "server: 'https://h', insecure-skip-tls-verify: true", "")
		n := &network{dialled: make(chan net.Conn, 1), closed: make(chan struct{})}
		c.sender.transport.negotiated.DialContext = n.dial
		err := c.Ping(t.Context())
		if !errors.Is(err, kubeapi.ErrUnavailable) {
			t.Fatalf("%v, want ErrUnavailable", err)
		}
		says(t, err, "does not complete a TLS handshake", "overloaded")
	})
}
