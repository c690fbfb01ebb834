// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync/atomic"
)

// identity adds the credentials of a user to requests and connections.
type identity struct {
	user   user
	plugin *plugin
	// token is the last token read, from the kubeconfig or its tokenFile.
	token atomic.Pointer[string]
	// certificate is the certificate read when the client was created, nil if the user has none.
	certificate *tls.Certificate
}

// identify reads the files with the credentials of a user.
func identify(u user, c cluster) (*identity, error) {
	id := &identity{user: u}
	id.token.Store(&u.Token)
	if u.TokenFile != "" {
		// Like client-go, use token while tokenFile cannot be read.
		if err := id.readToken(); err != nil && u.Token == "" {
			return nil, err
		}
	}
	if u.CertificateFile != "" || len(u.Certificate) > 0 {
		pair, err := u.pair()
		if err != nil {
			return nil, err
		}
		id.certificate = &pair
	}
	// A credential plugin is not used if there are other credentials.
	if u.Exec != nil && id.bearer() == "" && u.Username+u.Password == "" && id.certificate == nil {
		if u.Exec.InteractiveMode == "Always" {
			return nil, errInteractive
		}
		id.plugin = u.Exec
		id.plugin.cluster = c
	}
	return id, nil
}

// present returns the client certificate for a handshake. Certificates in files are read again, because another program
// may have renewed them.
func (id *identity) present(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if id.plugin != nil {
		if got := id.plugin.last(); got != nil && got.certificate != nil {
			return got.certificate, nil
		}
	}
	if id.certificate == nil {
		return new(tls.Certificate), nil
	}
	return id.renewed(), nil
}

// renewed returns the client certificate as its files have it now.
func (id *identity) renewed() *tls.Certificate {
	if id.user.CertificateFile != "" && id.user.KeyFile != "" {
		if pair, err := id.user.pair(); err == nil {
			return &pair
		}
	}
	return id.certificate
}

// authorize adds the credentials and the impersonation of the user to a request. It returns the credential of the
// credential plugin if it used one.
func (id *identity) authorize(ctx context.Context, r *http.Request) (*credential, error) {
	id.user.impersonate(r.Header)
	if r.URL.User != nil {
		return nil, nil // net/http sends the user and password of the URL
	}
	token := id.bearer()
	switch {
	case token != "":
	case id.user.Username+id.user.Password != "":
		r.SetBasicAuth(id.user.Username, id.user.Password)
		return nil, nil
	case id.plugin != nil:
		got, err := id.plugin.credential(ctx)
		if err != nil {
			return nil, err
		}
		if got.token != "" {
			r.Header.Set("Authorization", "Bearer "+got.token)
		}
		return got, nil
	default:
		return nil, nil
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil, nil
}

// bearer returns the user's token. It reads tokenFile every time, because Kubernetes replaces the file long before its
// token expires. It returns the last valid token while the file is missing, empty or damaged.
func (id *identity) bearer() string {
	if id.user.TokenFile != "" {
		_ = id.readToken() // the last valid token is used
	}
	if token := id.token.Load(); token != nil {
		return *token
	}
	return ""
}

// readToken stores the token in tokenFile. It keeps the previous token on an error.
func (id *identity) readToken() error {
	data, err := material("tokenFile", nil, id.user.TokenFile)
	if err != nil {
		return err
	}
	token := string(bytes.TrimSpace(data))
	if !isToken(token) {
		return fmt.Errorf("tokenFile %s: %w", id.user.TokenFile, errNotToken)
	}
	id.token.Store(&token)
	return nil
}
