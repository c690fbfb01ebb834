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

// tlsExplainer explains why a TLS connection to the API server failed, with a remedy.
type tlsExplainer struct {
	host, source string
	// certificateRequested says that the server has requested a client certificate; answered says that it has answered a
	// request.
	certificateRequested, answered bool
	// systemCAs says that the configuration has no CA, so that the CAs of the node apply.
	systemCAs bool
	// newAuthority is the remedy for a CA certificate that is not that of the server.
	newAuthority string
}

func (e *explainer) tls() tlsExplainer {
	return tlsExplainer{
		host: e.host(), source: e.provenance.source, systemCAs: e.systemCAs, newAuthority: e.newAuthority(),
		certificateRequested: e.transport.certificateRequested.Load(), answered: e.transport.answered.Load(),
	}
}

// failure says why a TLS connection failed, with a remedy. It returns nil for an error that is unrelated to TLS.
func (t tlsExplainer) failure(err error) error {
	var unverified *tls.CertificateVerificationError
	var operation *net.OpError
	var record tls.RecordHeaderError
	switch text := err.Error(); {
	case errors.As(err, &unverified):
		return t.unverified(unverified)
	case errors.As(err, &operation) && operation.Op == "remote error":
		return t.alerted(alertOf(operation.Err))
	case t.certificateRequested && !t.answered &&
		(strings.Contains(text, notEstablished) || errors.Is(err, syscall.EPIPE)):
		// With TLS 1.3 the server verifies the client certificate after the client's handshake, and its alert may be
		// lost.
		return fmt.Errorf("%s closes connections after it asked for a client certificate; check whether that of %s is "+
			"missing, has expired, or is not signed by the client CA of the server", t.host, t.source)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s answers in plain HTTP, without TLS; correct scheme or port of the server in %s",
			t.host, t.source)
	case errors.As(err, &record):
		return fmt.Errorf("%s does not speak TLS; correct the port of the server in %s", t.host, t.source)
	case strings.Contains(text, "unsupported protocol version"):
		return t.tooOld()
	case strings.Contains(text, "TLS handshake timeout"):
		return fmt.Errorf("%s accepts connections but does not complete a TLS handshake; check whether the API server is "+
			"overloaded, and whether the server in %s has the right port", t.host, t.source)
	}
	return nil
}

// unverified says why the server's certificate is not trusted.
func (t tlsExplainer) unverified(err *tls.CertificateVerificationError) error {
	var invalid x509.CertificateInvalidError
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	var roots x509.SystemRootsError
	var weak x509.InsecureAlgorithmError
	var constraint x509.ConstraintViolationError
	var extension x509.UnhandledCriticalExtension
	fail := func(reason, remedy string) error {
		return fmt.Errorf("the certificate of the API server at %s %s; %s", t.host, reason, remedy)
	}
	switch {
	case errors.As(err, &invalid):
		return t.invalid(invalid, err.UnverifiedCertificates)
	case errors.As(err, &host):
		return fail("is not valid for "+host.Host+", but for "+namesOf(host.Certificate),
			fmt.Sprintf("use one of these as server or tls-server-name in %s, or issue the certificate for %s as well",
				t.source, host.Host))
	case errors.As(err, &authority) && t.systemCAs:
		return fail("is signed by a CA that this node does not trust",
			t.source+" names no CA: set its certificate-authority")
	case errors.As(err, &authority):
		return fail("is not signed by the CA certificate in "+t.source, t.newAuthority)
	case errors.As(err, &roots):
		return fail("cannot be verified: this node has no CA certificates", "set certificate-authority in "+t.source)
	case errors.As(err, &weak):
		return fail("has a signature algorithm that is not secure, "+x509.SignatureAlgorithm(weak).String(),
			"issue it again with SHA-256 or better")
	case errors.As(err, &constraint), errors.As(err, &extension):
		return fail("has extensions that cannot be verified", "issue it again")
	}
	return fail("cannot be verified", "issue it again")
}

// invalid says what is wrong with a certificate of the server or of a CA above it.
func (t tlsExplainer) invalid(err x509.CertificateInvalidError, chain []*x509.Certificate) error {
	what, renew := fmt.Sprintf("the certificate of the API server at %s", t.host), "renew it on the control plane"
	if err.Cert != nil && (len(chain) == 0 || !err.Cert.Equal(chain[0])) {
		what = fmt.Sprintf("the CA certificate %q above that of the API server at %s", err.Cert.Subject.CommonName,
			t.host)
		renew = fmt.Sprintf("renew it on the control plane and in the certificate-authority of %s", t.source)
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
