// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// tlsFailure says why a TLS connection failed, with a remedy. It returns nil for an error that is unrelated to TLS.
func (c *Client) tlsFailure(err error) error {
	var unverified *tls.CertificateVerificationError
	var operation *net.OpError
	var record tls.RecordHeaderError
	switch text := err.Error(); {
	case errors.As(err, &unverified):
		return c.unverified(unverified)
	case errors.As(err, &operation) && operation.Op == "remote error":
		return c.alerted(alertOf(operation.Err))
	case c.transport.certificateAsked.Load() && !c.transport.answered.Load() &&
		(strings.Contains(text, notEstablished) || errors.Is(err, syscall.EPIPE)):
		// With TLS 1.3 the server verifies the client certificate after the client's handshake, and its alert may be
		// lost.
		return fmt.Errorf("%s closes connections after it asked for a client certificate; see whether that of %s is "+
			"missing, "+
			"has expired, or is not signed by the client CA of the server", c.Host(), c.source)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s answers in plain HTTP, without TLS; correct scheme or port of the server in %s",
			c.Host(), c.source)
	case errors.As(err, &record):
		return fmt.Errorf("%s does not speak TLS; correct the port of the server in %s", c.Host(), c.source)
	case strings.Contains(text, "unsupported protocol version"):
		return c.tooOld()
	case strings.Contains(text, "TLS handshake timeout"):
		return fmt.Errorf("%s accepts connections but does not complete a TLS handshake; "+
			"see whether the API server is overloaded, and whether the server in %s has the "+
			"right port", c.Host(), c.source)
	}
	return nil
}

// unverified says why the server's certificate is not trusted.
func (c *Client) unverified(err *tls.CertificateVerificationError) error {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	var weak x509.InsecureAlgorithmError
	var constraint x509.ConstraintViolationError
	var extension x509.UnhandledCriticalExtension
	fail := func(reason, remedy string) error {
		return fmt.Errorf("the certificate of the API server at %s %s; %s", c.Host(), reason, remedy)
	}
	switch {
	case errors.As(err, &invalid):
		return c.invalid(invalid, err.UnverifiedCertificates)
	case errors.As(err, &host):
		return fail("is not valid for "+host.Host+", but for "+namesOf(host.Certificate),
			fmt.Sprintf("use one of these as server or tls-server-name in %s, or issue the certificate for %s as well",
				c.source, host.Host))
	case errors.As(err, &authority) && c.systemCAs:
		return fail("is signed by a CA that this node does not trust",
			c.source+" names no CA: set its certificate-authority")
	case errors.As(err, &authority):
		return fail("is not signed by the CA certificate in "+c.source, c.newAuthority())
	case errors.As(err, &roots):
		return fail("cannot be verified: this node has no CA certificates", "set certificate-authority in "+c.source)
	case errors.As(err, &weak):
		return fail("has a signature algorithm that is not secure, "+x509.SignatureAlgorithm(weak).String(),
			"issue it again with SHA-256 or better")
	case errors.As(err, &constraint), errors.As(err, &extension):
		return fail("has extensions that cannot be verified", "issue it again")
	}
	return fail("cannot be verified", "issue it again")
}

// invalid says what is wrong with a certificate of the server or of a CA above it.
func (c *Client) invalid(err x509.CertificateInvalidError, chain []*x509.Certificate) error {
	what, renew := fmt.Sprintf("the certificate of the API server at %s", c.Host()), "renew it on the control plane"
	if err.Cert != nil && (len(chain) == 0 || !err.Cert.Equal(chain[0])) {
		what = fmt.Sprintf("the CA certificate %q above that of the API server at %s", err.Cert.Subject.CommonName,
			c.Host())
		renew = fmt.Sprintf("renew it on the control plane and in the certificate-authority of %s", c.source)
	}
	switch {
	case err.Reason == x509.Expired && strings.Contains(err.Detail, " is before "):
		return fmt.Errorf("%s is not valid before %s; correct the clock of this node, which is behind",
			what, err.Cert.NotBefore.UTC().Format(time.RFC3339))
	case err.Reason == x509.Expired:
		return fmt.Errorf("%s expired at %s; %s, or correct the clock of this node if it is ahead",
			what, err.Cert.NotAfter.UTC().Format(time.RFC3339), renew)
	case err.Reason == x509.IncompatibleUsage:
		return fmt.Errorf("%s is not for a server; issue it again with the extended key usage serverAuth", what)
	}
	return fmt.Errorf("%s breaks the constraints of its CA; issue it again", what)
}

// Alerts with which a TLS server rejects the client's certificate, and others (RFC 8446, section 6).
const (
	alertHandshakeFailure    = 40
	alertBadCertificate      = 42
	alertUnsupported         = 43
	alertRevoked             = 44
	alertExpired             = 45
	alertCertificateUnknown  = 46
	alertUnknownCA           = 48
	alertAccessDenied        = 49
	alertProtocolVersion     = 70
	alertSecurity            = 71
	alertUnrecognizedName    = 112
	alertCertificateRequired = 116
)

// alertOf returns the alert that crypto/tls reports. It parses the text, because the type is not exported there. It
// returns 255, which is not an alert, for any other error.
func alertOf(err error) tls.AlertError {
	for code := range tls.AlertError(255) {
		if code.Error() == err.Error() {
			return code
		}
	}
	return 255
}

// alerted describes an alert with which the server ended the handshake.
func (c *Client) alerted(alert tls.AlertError) error {
	client := func(reason, remedy string) error {
		return fmt.Errorf("the API server at %s refuses the client certificate of %s: %s; %s",
			c.Host(), c.source, reason, remedy)
	}
	if alert == alertHandshakeFailure && c.transport.certificateAsked.Load() {
		// TLS versions before 1.3 have no specific alert for this.
		alert = alertCertificateRequired
	}
	switch alert {
	case alertExpired:
		return client("it has expired", "renew it, and see whether the clocks of this node and the server agree")
	case alertRevoked:
		return client("it is revoked", "issue another one")
	case alertUnknownCA, alertBadCertificate, alertCertificateUnknown, alertUnsupported, alertAccessDenied:
		return client("it is not valid, or not signed by a CA that the server trusts",
			"issue one that is signed by the client CA of the API server")
	case alertCertificateRequired:
		return fmt.Errorf("the API server at %s requires a client certificate, and %s has none; "+
			"set client-certificate and client-key", c.Host(), c.source)
	case alertProtocolVersion:
		return c.tooOld()
	case alertHandshakeFailure, alertSecurity:
		return fmt.Errorf("the API server at %s accepts no cipher suite of TLS 1.2 or 1.3 that this client supports; "+
			"allow a current one there (--tls-cipher-suites)", c.Host())
	case alertUnrecognizedName:
		return fmt.Errorf("%s has no certificate for the name that it is asked by; set tls-server-name in %s",
			c.Host(), c.source)
	}
	return fmt.Errorf("%s ends the TLS handshake with an error (alert %d); see the log of the API server",
		c.Host(), uint8(alert))
}

func (c *Client) tooOld() error {
	return fmt.Errorf("%s speaks no TLS 1.2 or newer; allow it there (--tls-min-version)", c.Host())
}

// namesOf returns the names and addresses that a certificate is valid for.
func namesOf(certificate *x509.Certificate) string {
	names := certificate.DNSNames
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name or address"
	}
	return strings.Join(names[:min(len(names), 10)], ", ")
}
