package kube

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
)

// identity makes requests and connections those of a user.
type identity struct {
	user   user
	plugin *plugin
	// token is the last that was read, from the kubeconfig or from its tokenFile.
	token atomic.Pointer[string]
	// certificate is the one that was read when the client was made, nil when the user has none.
	certificate *tls.Certificate
}

// identify reads the files that hold a user's credentials.
func identify(u user, c cluster) (*identity, error) {
	switch {
	case len(u.AuthProvider) > 0 && string(u.AuthProvider) != "null":
		return nil, errAuthProvider
	case u.Username+u.Password != "" && u.Token+u.TokenFile != "":
		return nil, errUser
	case u.User == "" && (u.UID != "" || len(u.Groups) > 0 || len(u.Extra) > 0):
		return nil, errUser
	case u.KeyFile != "" && len(u.Key) > 0:
		return nil, errCertificates
	}
	id := &identity{user: u}
	id.token.Store(&u.Token)
	if u.TokenFile != "" {
		if err := id.readToken(); err != nil {
			return nil, fmt.Errorf("the file of its tokenFile: %w", cause(err))
		}
	}
	if u.CertificateFile != "" || len(u.Certificate) > 0 {
		pair, err := u.pair()
		if err != nil {
			return nil, err
		}
		id.certificate = &pair
	}
	if u.Exec != nil {
		if err := u.Exec.check(); err != nil {
			return nil, err
		}
		// Whoever has credentials already needs no program for them.
		if id.bearer() == "" && u.Username+u.Password == "" && id.certificate == nil {
			id.plugin = u.Exec
			id.plugin.cluster = c
		}
	}
	return id, nil
}

// pair reads the client certificate and its key.
func (u user) pair() (tls.Certificate, error) {
	certificate, err := material("client-certificate", u.Certificate, u.CertificateFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := material("client-key", u.Key, u.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, errCertificates
	}
	return pair, nil
}

// present is the client's part in a handshake. Certificates in files are read anew, for others renew them.
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

// renewed is the client certificate, as it is in its files now.
func (id *identity) renewed() *tls.Certificate {
	if id.user.CertificateFile != "" && id.user.KeyFile != "" {
		if pair, err := id.user.pair(); err == nil {
			return &pair
		}
	}
	return id.certificate
}

// authorize gives a request the headers that say who asks. It returns the plugin's credential, if that is what it took.
func (id *identity) authorize(ctx context.Context, r *http.Request) (*credential, error) {
	id.user.impersonate(r.Header)
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

// bearer returns the user's token. tokenFile is read anew: Kubernetes replaces it long before the token in it expires.
func (id *identity) bearer() string {
	if id.user.TokenFile != "" {
		_ = id.readToken() // the one before may do
	}
	if token := id.token.Load(); token != nil {
		return *token
	}
	return ""
}

// readToken takes over what tokenFile has, unless it is empty.
func (id *identity) readToken() error {
	data, err := os.ReadFile(id.user.TokenFile)
	if err != nil {
		return err
	}
	if token := string(bytes.TrimSpace(data)); token != "" {
		id.token.Store(&token)
	}
	return nil
}
