// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/tls"
	"fmt"
)

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
func (t tlsExplainer) alerted(alert tls.AlertError) error {
	client := func(reason, remedy string) error {
		return fmt.Errorf("the API server at %s refuses the client certificate of %s: %s; %s",
			t.host, t.source, reason, remedy)
	}
	if alert == alertHandshakeFailure && t.certificateRequested {
		// TLS versions before 1.3 have no specific alert for this.
		alert = alertCertificateRequired
	}
	switch alert {
	case alertExpired:
		return client("it has expired", "renew it, and check whether the clocks of this node and the server agree")
	case alertRevoked:
		return client("it is revoked", "issue another one")
	case alertUnknownCA, alertBadCertificate, alertCertificateUnknown, alertUnsupported, alertAccessDenied:
		return client("it is not valid, or not signed by a CA that the server trusts",
			"issue one that is signed by the client CA of the API server")
	case alertCertificateRequired:
		return fmt.Errorf("the API server at %s requires a client certificate, and %s has none; "+
			"set client-certificate and client-key", t.host, t.source)
	case alertProtocolVersion:
		return t.tooOld()
	case alertHandshakeFailure, alertSecurity:
		return fmt.Errorf("the API server at %s accepts no cipher suite of TLS 1.2 or 1.3 that this client supports; "+
			"allow a current one there (--tls-cipher-suites)", t.host)
	case alertUnrecognizedName:
		return fmt.Errorf("%s has no certificate for the name in the request; set tls-server-name in %s",
			t.host, t.source)
	}
	return fmt.Errorf("%s ends the TLS handshake with an error (alert %d); see the log of the API server",
		t.host, uint8(alert))
}

func (t tlsExplainer) tooOld() error {
	return fmt.Errorf("%s speaks no TLS 1.2 or newer; allow it there (--tls-min-version)", t.host)
}
