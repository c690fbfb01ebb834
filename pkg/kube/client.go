// Package kube is the only importer of client-go: a small REST client for the few objects a CNI plugin needs. It holds
// no clientset and no scheme of Kubernetes' own types, for their registration alone would cost every pod more than the
// requests do; pods, nodes and namespaces are read as metadata only.
package kube

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// requestTimeout bounds one request, retries of the client included; the callers' contexts bound the command.
const requestTimeout = 15 * time.Second

// Client speaks to one API server over one connection.
type Client struct {
	rest *rest.RESTClient
	// source names where the credentials come from, for messages.
	source string
	// host is the server's URL for messages.
	host string
	// config has the credentials.
	config *rest.Config
}

// InCluster returns a client with the service account of the pod that the process runs in.
func InCluster(userAgent string) (*Client, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("%w of the pod's service account: %w; set KUBECONFIG when not run in a pod", ErrKubeconfig, err)
	}
	return fromConfig(config, "the pod's service account", userAgent)
}

func fromConfig(config *rest.Config, source, userAgent string) (*Client, error) {
	config.UserAgent = userAgent
	config.NegotiatedSerializer = codecs()
	config.ContentType = runtime.ContentTypeJSON
	config.QPS = -1
	config.WarningHandlerWithContext = rest.NoWarnings{}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, errServer)
	}
	client, err := httpClient(config)
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, err)
	}
	r, err := rest.UnversionedRESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, errServer)
	}
	return &Client{rest: r, source: source, host: server.Redacted(), config: config}, nil
}

// httpClient returns a client that keeps to one connection: a command's first requests go out side by side, and each
// would otherwise dial and shake hands for itself.
func httpClient(config *rest.Config) (*http.Client, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, unquoted(err, errCertificates)
	}
	if tlsConfig == nil {
		tlsConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport, err := rest.HTTPWrappersForConfig(config, &http.Transport{
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxConnsPerHost:     1,
		DialContext:         dialer.DialContext,
		Proxy:               proxyOf(config),
	})
	if err != nil {
		return nil, unquoted(err, errUser)
	}
	return &http.Client{Transport: transport, Timeout: requestTimeout}, nil
}

// proxyOf is the proxy of the kubeconfig, else of the environment.
func proxyOf(config *rest.Config) func(*http.Request) (*url.URL, error) {
	if config.Proxy != nil {
		return config.Proxy
	}
	return http.ProxyFromEnvironment
}

// codecs know metav1.Status, which is all that client-go decodes here: it is what errors come in.
func codecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

// Host returns the URL of the API server for messages: a password in it shows as "xxxxx".
func (c *Client) Host() string { return c.host }

// Close gives up the connection. A process that lives long and makes many clients calls it.
func (c *Client) Close() { utilnet.CloseIdleConnectionsFor(c.rest.Client.Transport) }

// do makes the request and decodes the answer into out, unless out is nil. what names it in errors: "get ippools default".
func (c *Client) do(ctx context.Context, r *rest.Request, what string, out any) error {
	result := r.Do(ctx)
	if err := result.Error(); err != nil {
		return c.explain(ctx, what, err)
	}
	if out == nil {
		return nil
	}
	body, err := result.Raw()
	if err != nil {
		return c.explain(ctx, what, err)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%s: %w: %w", what, ErrMalformed, err)
	}
	return nil
}
