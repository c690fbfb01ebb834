// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net/url"
	"strings"
)

// check validates a cluster and a user as far as possible without their files.
func check(c cluster, u user, server *url.URL) error {
	tls := c.CAFile != "" || len(c.CA) > 0 || c.Insecure || c.ServerName != ""
	switch {
	case !hasScheme(c.Server) && (tls || u.hasCredentials()):
		return fmt.Errorf("%w: %w", errServer, errNoScheme)
	case c.CAFile != "" && len(c.CA) > 0:
		return errCATwice
	case c.Insecure && (c.CAFile != "" || len(c.CA) > 0):
		return errInsecureCA
	case u.User == "" && (u.UID != "" || len(u.Groups) > 0 || len(u.Extra) > 0):
		return errImpersonation
	}
	if err := u.impersonation.check(); err != nil {
		return err
	}
	if u.Exec != nil {
		if err := u.Exec.check(); err != nil {
			return err
		}
	}
	if server.Scheme != "https" {
		return nil
	}
	return u.check(server)
}

// check validates the credentials of a user for an https server.
func (u user) check(server *url.URL) error {
	certificate, key := u.CertificateFile != "" || len(u.Certificate) > 0, u.KeyFile != "" || len(u.Key) > 0
	switch {
	case u.hasAuthProvider():
		return errAuthProvider
	case u.Username+u.Password != "" && u.Token+u.TokenFile != "":
		return errCredentials
	case u.Username == "" && u.Password != "":
		return errNoUsername
	case u.CertificateFile != "" && len(u.Certificate) > 0:
		return errCertificateTwice
	case u.KeyFile != "" && len(u.Key) > 0:
		return errKeyTwice
	case certificate && !key:
		return errNoKey
	case key && !certificate:
		return errNoCertificate
	case u.Token != "" && strings.TrimSpace(u.Token) == "":
		return errBlankToken
	case !isToken(u.Token):
		return fmt.Errorf("the token: %w", errNotToken)
	case !u.hasCredentials() && server.User == nil:
		return errNoCredentials
	}
	return nil
}

func (u user) hasCredentials() bool {
	return u.Token+u.TokenFile+u.Username+u.Password != "" || u.CertificateFile+u.KeyFile != "" ||
		len(u.Certificate)+len(u.Key) > 0 || u.Exec != nil || u.hasAuthProvider()
}

func (u user) hasAuthProvider() bool {
	return len(u.AuthProvider) > 0 && string(u.AuthProvider) != "null"
}

// isToken reports whether a text can be sent as a bearer token (RFC 6750, section 2.1).
func isToken(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// isHeader reports whether a text is a valid header value (RFC 9110, section 5.5).
func isHeader(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f })
}
