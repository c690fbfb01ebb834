package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/deadline"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/kube"
)

const (
	// tokenLifetime is what the API server is asked for, as by Calico.
	tokenLifetime = 24 * time.Hour
	// probeTimeout bounds the question whether a token is taken.
	probeTimeout = 10 * time.Second
)

// tokens has the API server issue tokens of the plugins' service account.
type tokens struct {
	cfg config.Config
	log *slog.Logger
}

// Token connects when it is called, with the credentials that there are then: those of a pod change under it. It
// asks for a token that is bound to the node.
func (t tokens) Token(ctx context.Context, node string) (string, time.Time, error) {
	namespace, err := t.cfg.PodNamespace()
	if err != nil {
		return "", time.Time{}, err
	}
	client, err := t.connect()
	if err != nil {
		return "", time.Time{}, err
	}
	defer client.Close()
	token, bound, err := client.RequestNodeToken(ctx, namespace, t.cfg.ServiceAccount, node, tokenLifetime)
	if err != nil {
		return "", time.Time{}, t.explain(err, namespace, client.Host())
	}
	if !bound {
		t.log.Info(
			"token is not bound to the node: the API server is older than Kubernetes 1.31, or has no Node of this name",
			"node", node,
		)
	}
	return token.Value, token.Expires, nil
}

// explain gives an error of the installer's own request the remedy that fits the installer: those of package kube
// are for the plugins, whose credentials the installer renews.
func (t tokens) explain(err error, namespace, server string) error {
	account := namespace + "/" + t.cfg.ServiceAccount
	switch {
	case errors.Is(err, kube.ErrUnauthorized):
		return fmt.Errorf("request token of service account %s: %w: the API server at %s does not accept %s; %s",
			account, credentials.ErrRefused, server, t.source(), t.remedy())
	case errors.Is(err, kube.ErrForbidden):
		return fmt.Errorf("request token of service account %s: %w: the API server at %s does not permit this to %s; "+
			"allow it to create serviceaccounts/token, as the ClusterRole calico-cni-install does", account, kube.ErrForbidden,
			server, t.source())
	case errors.Is(err, kube.ErrNotFound):
		return fmt.Errorf("%w; create the service account, or set --service-account and --namespace", err)
	}
	return err
}

// source names the installer's own credentials.
func (t tokens) source() string {
	if t.cfg.Kubeconfig != "" {
		return "the installer's kubeconfig " + t.cfg.Kubeconfig
	}
	return "the token of the pod's service account in " + t.cfg.ServiceAccountDir
}

func (t tokens) remedy() string {
	if t.cfg.Kubeconfig != "" {
		return "replace its credentials"
	}
	return "delete the pod, so that it gets a new token"
}

// Accepted asks the API server for its version: that needs no right, but a token that it knows.
func (t tokens) Accepted(ctx context.Context, kubeconfig string) error {
	client, err := kube.LoadSupplied(kubeconfig, userAgent())
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := deadline.Within(ctx, probeTimeout, "the check of the token")
	defer cancel()
	err = client.Ping(ctx)
	switch {
	case errors.Is(err, kube.ErrUnauthorized):
		return fmt.Errorf("%w: %w", credentials.ErrRefused, err)
	case errors.Is(err, kube.ErrForbidden):
		return nil
	}
	return err
}

// connect returns a client with the installer's own credentials.
func (t tokens) connect() (*kube.Client, error) {
	if t.cfg.Kubeconfig != "" {
		client, err := kube.LoadSupplied(t.cfg.Kubeconfig, userAgent())
		if err != nil {
			return nil, fmt.Errorf("read the installer's own credentials: %w; correct the file, or set --kubeconfig", err)
		}
		return client, nil
	}
	host := strings.TrimSuffix(strings.TrimPrefix(t.cfg.ServiceHost, "["), "]")
	return kube.NewPodClient(t.cfg.ServiceAccountDir, host, t.cfg.ServicePort, userAgent())
}

func userAgent() string { return "calico-cni/" + buildinfo.Version }
