// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
)

// Direct has the address and the credentials of an API server from CNI configurations without a kubeconfig.
type Direct struct {
	// Server is the URL of the API server.
	Server string
	// Token is a bearer token. The others are paths of files.
	Token, Certificate, Key, CA string
}

// Client returns a client for the server. It reads the files but makes no request. An error wraps ErrKubeconfig, and
// fs.ErrNotExist if a file is missing. It contains no value.
func (d Direct) Client(userAgent string) (*Client, error) {
	return newClient(d.cluster(), d.user(), provenance{source: directSource}, userAgent)
}

// Check returns the error with which Client rejects these values, as far as it can be determined without the files. It
// wraps ErrKubeconfig.
func (d Direct) Check() error {
	server, err := serverURL(d.Server)
	if err == nil {
		err = check(d.cluster(), d.user(), server)
	}
	if err != nil {
		return fmt.Errorf("%w in %s: %w", ErrKubeconfig, directSource, err)
	}
	return nil
}

const directSource = "the CNI configuration (k8s_api_root, k8s_auth_token, k8s_client_certificate, k8s_client_key, " +
	"k8s_certificate_authority)"

func (d Direct) cluster() cluster { return cluster{Server: d.Server, CAFile: d.CA} }

func (d Direct) user() user {
	return user{Token: d.Token, CertificateFile: d.Certificate, KeyFile: d.Key}
}

// serviceAccount is the directory where Kubernetes mounts the credentials of a pod's service account.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// defaultPort is the port of the service "kubernetes", through which pods reach the API server.
const defaultPort = "443"

// InCluster returns a client with the service account of the pod that the process runs in, according to its
// environment. Without KUBERNETES_SERVICE_PORT the port is 443. The client re-reads the token when the kubelet renews
// it.
func InCluster(getenv func(string) string, userAgent string) (*Client, error) {
	return podClient(serviceAccount, getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT"), userAgent)
}

func podClient(mount, host, port, userAgent string) (*Client, error) {
	from := provenance{source: "the pod's service account", origin: mounted}
	if host == "" {
		return nil, fmt.Errorf("%w of %s: KUBERNETES_SERVICE_HOST is not set; "+
			"set KUBECONFIG when not run in a pod", ErrKubeconfig, from.source)
	}
	server := cluster{
		Server: "https://" + net.JoinHostPort(unbracketed(host), cmp.Or(port, defaultPort)),
		CAFile: filepath.Join(mount, "ca.crt"),
	}
	if _, err := serverURL(server.Server); err != nil {
		return nil, fmt.Errorf("%w of %s: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not a host and a "+
			"port: %w", ErrKubeconfig, from.source, err)
	}
	c, err := newClient(server, user{TokenFile: filepath.Join(mount, "token")}, from, userAgent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s; set KUBECONFIG when not run in a pod", err, mount)
	}
	return c, err
}
