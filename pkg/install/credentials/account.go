// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/kube"
)

// ErrRefused: the API server rejects the credentials.
var ErrRefused = errors.New("credentials refused")

// Issuer issues tokens of the plugins' service account and checks whether the API server accepts them.
type Issuer interface {
	// Token returns a bearer token, bound to the node where the API server supports that, and its expiry. An error
	// names the account and a remedy, and contains no token.
	Token(ctx context.Context, node string) (token string, expires time.Time, err error)
	// Accepted sends a request with the credentials of a kubeconfig file. An error wraps ErrRefused if the API server
	// rejects them. After any other error, it is unknown whether they are valid.
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
	// Path is the path of the kubeconfig in the container, HostPath its path on the host.
	Path, HostPath string
	// RenewAt is the age at which to renew a token. 0 means a quarter of its lifetime.
	RenewAt time.Duration
	Issuer  Issuer
	Files   Files
	Now     func() time.Time
	// Spread returns a random number in [0, 1) for each token, so that not all nodes renew at the same time.
	Spread func() float64
	Log    *slog.Logger
	// Renewed is called after each attempt to renew the token, with the expiry of the current one. It may be nil.
	Renewed func(expires time.Time, err error)

	// node is the name of the node that tokens are bound to.
	node    string
	current bearerToken
}

// SetNode sets the name of the node that tokens are bound to.
func (a *Account) SetNode(name string) { a.node = name }

// Token returns the current token, empty before there is one.
func (a *Account) Token() string { return a.current.value }

// ReadToken reads the token from the kubeconfig on the host, for comparing files that contain it. It is not an error if
// there is no kubeconfig.
func (a *Account) ReadToken() error {
	data, err := safeopen.ReadRegular(a.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	a.current.value = TokenOf(data)
	return nil
}

// RenewsAt returns the time of the next renewal.
func (a *Account) RenewsAt() time.Time { return a.current.renew }

// Check returns why the plugins could not use a kubeconfig for the configured API server. It requests no token.
func (a *Account) Check() error {
	_, err := a.Render("unknown")
	return err
}

// Prepare requests a token if the current one is due, and checks that the plugins can use it.
func (a *Account) Prepare(ctx context.Context) error {
	if a.current.due(a.Now()) {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	_, err := a.Render(a.current.value)
	return err
}

// Install writes the kubeconfig.
func (a *Account) Install(ctx context.Context) error {
	if a.current.due(a.Now()) {
		if err := a.renew(ctx); err != nil {
			return err
		}
	}
	data, err := a.Render(a.current.value)
	if err != nil {
		return err
	}
	written, err := a.Files.Put(a.Path, data, hostfile.SecretMode)
	if err != nil {
		return err
	}
	a.Log.Info("kubeconfig is in place", "path", a.Path, "written", written, "server", a.Server.URL(),
		"expires", a.current.expires.UTC().Format(time.RFC3339))
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
		a.Renewed(a.current.expires, err)
	}
	return err
}

func (a *Account) request(ctx context.Context) error {
	value, expires, err := a.Issuer.Token(ctx, a.node)
	if err != nil {
		return err
	}
	if value == "" {
		return fmt.Errorf("request token of service account %s: the API server's answer contains none", a.Name)
	}
	a.current = newToken(value, expires, a.Now(), a.Spread()).withRenewal(a.RenewAt)
	return nil
}
