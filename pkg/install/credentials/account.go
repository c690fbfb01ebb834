// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/kube"
)

// ErrRefused: the API server does not accept the credentials.
var ErrRefused = errors.New("credentials refused")

// Issuer issues tokens of the plugins' service account and checks whether the API server accepts them.
type Issuer interface {
	// Token returns a bearer token, bound to the node where the API server supports that, and its expiry. An error
	// names the account and a remedy, and contains no token.
	Token(ctx context.Context, node string) (token string, expires time.Time, err error)
	// Accepted makes a request with the credentials of a kubeconfig file. An error wraps ErrRefused if the API server does
	// not accept them. Any other error says nothing about them.
	Accepted(ctx context.Context, kubeconfig string) error
}

// Files writes files of the host.
type Files interface {
	// Put makes a file hold data, and reports whether it had to be written.
	Put(path string, data []byte, mode fs.FileMode) (written bool, err error)
}

// Account keeps the plugins' kubeconfig on the host, with a token of their service account.
type Account struct {
	Server Server
	// Name of the service account, for errors.
	Name string
	// Path is the kubeconfig as it is mounted, HostPath as the host names it.
	Path, HostPath string
	// RenewAt is the age at which to renew a token, 0 for a quarter of its lifetime.
	RenewAt time.Duration
	Issuer  Issuer
	Files   Files
	Now     func() time.Time
	// Spread returns a random number in [0, 1) for each token, so that the nodes do not renew at the same time.
	Spread func() float64
	Log    *slog.Logger
	// Renewed is called after each attempt to renew the token, with the expiry of the current one. It may be nil.
	Renewed func(expires time.Time, err error)

	// node is the name of the node that tokens are bound to.
	node  string
	token token
}

// SetNode sets the name of the node that tokens are bound to.
func (a *Account) SetNode(name string) { a.node = name }

// Token returns the current token, empty before there is one.
func (a *Account) Token() string { return a.token.value }

// ReadToken takes the token from the kubeconfig on the host, so that what is rendered with it can be compared. A
// missing kubeconfig has none.
func (a *Account) ReadToken() error {
	data, err := os.ReadFile(a.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.token.value = TokenOf(data)
	return nil
}

// RenewsAt returns the time of the next renewal.
func (a *Account) RenewsAt() time.Time { return a.token.renew }

// Check returns why the plugins cannot use a kubeconfig for the configured API server. It requests no token.
func (a *Account) Check() error {
	_, err := a.Render("unknown")
	return err
}

// Prepare requests a token if the current one is due, and checks that the plugins can use it.
func (a *Account) Prepare(ctx context.Context) error {
	if a.token.due(a.Now()) {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	_, err := a.Render(a.token.value)
	return err
}

// Install writes the kubeconfig.
func (a *Account) Install(ctx context.Context) error {
	if a.token.due(a.Now()) {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	data, err := a.Render(a.token.value)
	if err != nil {
		return err
	}
	written, err := a.Files.Put(a.Path, data, hostfile.SecretMode)
	if err != nil {
		return err
	}
	a.Log.Info("kubeconfig is in place", "path", a.Path, "written", written, "server", a.Server.URL(),
		"expires", a.token.expires.UTC().Format(time.RFC3339))
	return nil
}

// Render returns the plugins' kubeconfig with a token, after the plugins' own parser has accepted it.
func (a *Account) Render(token string) ([]byte, error) {
	ca, err := a.Server.CertificateAuthority()
	if err != nil {
		return nil, err
	}
	data, err := a.Server.Kubeconfig(ca, token)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckKubeconfig(data, a.HostPath); err != nil {
		return nil, fmt.Errorf("%w: the plugins cannot use the kubeconfig for the API server %s: %w; "+
			"see KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and KUBERNETES_SERVICE_PROTOCOL, and the certificates in %s",
			fault.ErrConfig, a.Server.URL(), err, a.Server.ServiceAccountDir)
	}
	return data, nil
}

// renew requests a token and calls Renewed. The previous token stays valid until it expires.
func (a *Account) renew(ctx context.Context) error {
	err := a.request(ctx)
	if a.Renewed != nil {
		a.Renewed(a.token.expires, err)
	}
	return err
}

func (a *Account) request(ctx context.Context) error {
	value, expires, err := a.Issuer.Token(ctx, a.node)
	if err != nil {
		return err
	}
	if value == "" {
		return fmt.Errorf("request token of service account %s: the API server's answer has none", a.Name)
	}
	a.token = newToken(value, expires, a.Now(), a.Spread()).renewAt(a.RenewAt)
	return nil
}
