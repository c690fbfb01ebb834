// SPDX-License-Identifier: Apache-2.0

// Package apiclient connects the installer to the API server through client-go, and explains errors of its requests.
// The plugins use pkg/kube.
package apiclient

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/kube"
)

// Credentials are the installer's own credentials: those of a kubeconfig, or else those of the pod's service account.
type Credentials struct {
	// Kubeconfig is the path of a kubeconfig. If it is empty, the other fields apply.
	Kubeconfig string
	// ServiceAccountDir has token and ca.crt, as Kubernetes mounts them into pods. Host and Port are the API server's.
	ServiceAccountDir, Host, Port string
}

// Of returns the installer's own credentials in a configuration.
func Of(c config.Config) Credentials {
	return Credentials{
		Kubeconfig: c.Kubeconfig, ServiceAccountDir: c.ServiceAccountDir, Host: c.ServiceHost, Port: c.ServicePort,
	}
}

// Connect returns a client of the core API that knows TokenRequest, and the URL of the API server. It reads the
// credentials each time, because those of a pod change.
func (c Credentials) Connect(userAgent string) (*rest.RESTClient, string, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, "", err
	}
	client, err := New(cfg, userAgent)
	if err != nil {
		return nil, "", fmt.Errorf("read the installer's own credentials: %w; correct %s", err, c)
	}
	return client, cfg.Host, nil
}

// Config returns the configuration of clients with the credentials. It reads them each time.
func (c Credentials) Config() (*rest.Config, error) {
	if c.Kubeconfig != "" {
		cfg, err := FileConfig(c.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("read the installer's own credentials: %w; correct the file, or set --kubeconfig", err)
		}
		return cfg, nil
	}
	for _, name := range []string{"token", "ca.crt"} {
		// client-go opens these files itself, and would block on a FIFO.
		file, err := safeopen.Regular(filepath.Join(c.ServiceAccountDir, name))
		if err != nil {
			return nil, fmt.Errorf("read the pod's service account: %w; set KUBECONFIG when not run in a pod", err)
		}
		_ = file.Close()
	}
	host := strings.TrimSuffix(strings.TrimPrefix(c.Host, "["), "]")
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, c.Port),
		BearerTokenFile: filepath.Join(c.ServiceAccountDir, "token"),
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(c.ServiceAccountDir, "ca.crt")},
	}, nil
}

// String names the credentials in errors.
func (c Credentials) String() string {
	if c.Kubeconfig != "" {
		return "the installer's kubeconfig " + c.Kubeconfig
	}
	return "the token of the pod's service account in " + c.ServiceAccountDir
}

// Remedy says what to do if the API server rejects the credentials.
func (c Credentials) Remedy() string {
	if c.Kubeconfig != "" {
		return "replace its credentials"
	}
	return "delete the pod, so that it gets a new token"
}

// FileConfig returns the credentials of a kubeconfig file. An error contains nothing of its content.
func FileConfig(path string) (*rest.Config, error) {
	data, err := safeopen.Read(path)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	cfg, err := restConfig(path)
	if err == nil {
		return cfg, nil
	}
	// The errors of client-go may quote the file. Those of the plugins' parser do not, and name a remedy.
	if err := kube.CheckKubeconfig(data, path); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("kubeconfig %s is invalid: see kubectl config view --kubeconfig=%s", path, path)
}

func restConfig(path string) (*rest.Config, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: path}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	cfg, err := loader.ClientConfig()
	if err == nil && cfg.Host == "" {
		err = errors.New("no server")
	}
	return cfg, err
}

// RedirectLog redirects the log of client-go, which has its own format, to a logger for the whole process.
func RedirectLog(log *slog.Logger) { klog.SetSlogLogger(log) }

// New returns a client of the core API that knows TokenRequest.
func New(cfg *rest.Config, userAgent string) (*rest.RESTClient, error) {
	types := runtime.NewScheme()
	if err := authenticationv1.AddToScheme(types); err != nil {
		return nil, err
	}
	core := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(types, core)
	cfg = rest.CopyConfig(cfg)
	cfg.GroupVersion, cfg.APIPath, cfg.UserAgent = &core, "/api", userAgent
	cfg.NegotiatedSerializer = serializer.NewCodecFactory(types).WithoutConversion()
	cfg.WarningHandler = rest.NoWarnings{}
	return rest.RESTClientFor(cfg)
}
