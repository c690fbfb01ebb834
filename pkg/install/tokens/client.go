// SPDX-License-Identifier: Apache-2.0

package tokens

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
	"calico-cni/pkg/kube"
)

// ownConfig returns the installer's own credentials: those of the kubeconfig, or else of the pod's service account.
func (i Issuer) ownConfig() (*rest.Config, error) {
	if i.Config.Kubeconfig != "" {
		cfg, err := fileConfig(i.Config.Kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("read the installer's own credentials: %w; correct the file, or set --kubeconfig", err)
		}
		return cfg, nil
	}
	dir := i.Config.ServiceAccountDir
	for _, name := range []string{"token", "ca.crt"} {
		// client-go opens these files itself, and would block on a FIFO.
		file, err := safeopen.Regular(filepath.Join(dir, name))
		if err != nil {
			return nil, fmt.Errorf("read the pod's service account: %w; set KUBECONFIG when not run in a pod", err)
		}
		_ = file.Close()
	}
	host := strings.TrimSuffix(strings.TrimPrefix(i.Config.ServiceHost, "["), "]")
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, i.Config.ServicePort),
		BearerTokenFile: filepath.Join(dir, "token"),
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
	}, nil
}

// fileConfig returns the credentials of a kubeconfig file. An error contains nothing of its content.
func fileConfig(path string) (*rest.Config, error) {
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

// newClient returns a client of the core API that knows TokenRequest.
func newClient(cfg *rest.Config, userAgent string) (*rest.RESTClient, error) {
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
