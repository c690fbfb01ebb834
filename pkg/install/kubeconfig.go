package install

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"calico-cni/pkg/kube"
)

// kubeconfigName is the file's name in the configuration directory. Calico's node agent renews the token in a file of
// this name.
const kubeconfigName = kube.InstalledName

// kubeconfigHead tells a person what the file is.
const kubeconfigHead = "# Written by install for the CNI plugins, which read it for every pod. Changes are lost when it runs again.\n"

// credentials has a token issued when the one that there is should be renewed, and checks that the plugins can use it.
func (i *installer) credentials(ctx context.Context) error {
	if i.credential.due(i.deps.Now()) {
		if err := i.renew(ctx); err != nil {
			return err
		}
	}
	_, err := i.usableKubeconfig(i.credential.token)
	return err
}

// kubeconfig writes the plugins' kubeconfig.
func (i *installer) kubeconfig(ctx context.Context) error {
	if i.credential.due(i.deps.Now()) {
		if err := i.renew(ctx); err != nil {
			return err
		}
	}
	data, err := i.usableKubeconfig(i.credential.token)
	if err != nil {
		return err
	}
	written, err := i.put(i.cfg.kubeconfigPath(), data, fileMode)
	if err != nil {
		return err
	}
	i.deps.Log.Info("kubeconfig is in place", "path", i.cfg.kubeconfigPath(), "written", written, "server", i.cfg.server(),
		"expires", i.credential.expires.UTC().Format(time.RFC3339))
	return nil
}

// renew has a token issued, and tells who listens.
func (i *installer) renew(ctx context.Context) error {
	err := i.request(ctx)
	if i.renewed != nil {
		i.renewed(i.credential.expires, err)
	}
	return err
}

// request has a token issued. The one before stays valid until it expires.
func (i *installer) request(ctx context.Context) error {
	token, expires, err := i.deps.Tokens.Token(ctx, i.values.NodeName)
	if err != nil {
		return err
	}
	if token == "" {
		return fmt.Errorf("request token of service account %s: the API server's answer has none", i.cfg.ServiceAccount)
	}
	after, err := i.cfg.tokenRefresh()
	if err != nil {
		return err
	}
	i.credential = newCredential(token, expires, i.deps.Now(), i.deps.Spread()).renewAfter(after)
	i.values.Token = token
	return nil
}

// PodNamespace returns the namespace of the plugins' service account: the configured one, else the pod's own.
func (c Config) PodNamespace() (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	data, err := os.ReadFile(filepath.Join(c.ServiceAccountDir, "namespace"))
	if err != nil {
		return "", fmt.Errorf("read the pod's namespace: %w; set --namespace when not run in a pod", err)
	}
	if name := strings.TrimSpace(string(data)); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("read the pod's namespace: %s is empty; set --namespace", filepath.Join(c.ServiceAccountDir, "namespace"))
}

// certificateAuthority returns the PEM that the plugins verify the API server by, nil when they are not to.
func (c Config) certificateAuthority() ([]byte, error) {
	if c.SkipTLSVerify || c.ServiceProtocol == "http" {
		return nil, nil
	}
	path := filepath.Join(c.ServiceAccountDir, "ca.crt")
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the API server's certificate authority: %w; let Kubernetes mount the pod's service account token there", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the API server's certificate authority: %s has no certificate in PEM", path)
	}
	return pem, nil
}

// server returns the URL of the API server. An IPv6 address goes into brackets, whether or not it came in some.
func (c Config) server() string {
	host := strings.TrimSuffix(strings.TrimPrefix(c.ServiceHost, "["), "]")
	return c.ServiceProtocol + "://" + net.JoinHostPort(host, c.ServicePort)
}

// kubeconfig is the part of a kubeconfig file, version v1, that the plugins need.
type kubeconfig struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	Clusters       []namedCluster `json:"clusters"`
	Users          []namedUser    `json:"users"`
	Contexts       []namedContext `json:"contexts"`
	CurrentContext string         `json:"current-context"`
}

type namedCluster struct {
	Name    string  `json:"name"`
	Cluster cluster `json:"cluster"`
}

type cluster struct {
	Server                   string `json:"server"`
	CertificateAuthorityData []byte `json:"certificate-authority-data,omitempty"`
	InsecureSkipTLSVerify    bool   `json:"insecure-skip-tls-verify,omitempty"`
}

type namedUser struct {
	Name string `json:"name"`
	User user   `json:"user"`
}

type user struct {
	Token string `json:"token"`
}

type namedContext struct {
	Name    string         `json:"name"`
	Context clusterAndUser `json:"context"`
}

type clusterAndUser struct {
	Cluster string `json:"cluster"`
	User    string `json:"user"`
}

func (c Config) renderKubeconfig(ca []byte, token string) ([]byte, error) {
	data, err := yaml.Marshal(kubeconfig{
		APIVersion: "v1", Kind: "Config",
		Clusters:       []namedCluster{{"local", cluster{c.server(), ca, c.SkipTLSVerify}}},
		Users:          []namedUser{{"calico", user{token}}},
		Contexts:       []namedContext{{"calico-context", clusterAndUser{"local", "calico"}}},
		CurrentContext: "calico-context",
	})
	if err != nil {
		// What the encoder says could quote the token.
		return nil, errors.New("encode kubeconfig")
	}
	return append([]byte(kubeconfigHead), data...), nil
}

// usableKubeconfig renders the plugins' kubeconfig and has their reader take it.
func (i *installer) usableKubeconfig(token string) ([]byte, error) {
	ca, err := i.cfg.certificateAuthority()
	if err != nil {
		return nil, err
	}
	data, err := i.cfg.renderKubeconfig(ca, token)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckKubeconfig(data, i.cfg.HostKubeconfig()); err != nil {
		return nil, fmt.Errorf("%w: the plugins cannot use the kubeconfig for the API server %s: %w; "+
			"see KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT and KUBERNETES_SERVICE_PROTOCOL, and the certificates in %s",
			ErrConfig, i.cfg.server(), err, i.cfg.ServiceAccountDir)
	}
	return data, nil
}

// tokenOf returns the token of a kubeconfig as renderKubeconfig makes it, empty when there is none.
func tokenOf(data []byte) string {
	var k kubeconfig
	if err := yaml.Unmarshal(data, &k); err != nil || len(k.Users) == 0 {
		return ""
	}
	return k.Users[0].User.Token
}
