// SPDX-License-Identifier: Apache-2.0

// Package credentials provides the plugins with a token of their service account, in a kubeconfig, and renews it.
package credentials

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/kube"
)

// KubeconfigName is the name of the plugins' kubeconfig in the configuration directory. Calico's node agent renews the
// token in a file of this name.
const KubeconfigName = kube.InstalledName

// Head is the first line of a kubeconfig that install writes.
const Head = "# Written by install for the CNI plugins, which read it for every pod. " +
	"Changes are lost when it runs again.\n"

// Server is the API server as the plugins reach it. ServiceAccountDir, which Kubernetes mounts into pods, contains its
// certificate authority. With SkipTLSVerify the plugins accept any certificate.
type Server struct {
	Protocol, Host, Port string
	SkipTLSVerify        bool
	ServiceAccountDir    string
}

// URL returns the URL of the API server. An IPv6 address is in brackets, whether or not Host has them.
func (s Server) URL() string {
	host := strings.TrimSuffix(strings.TrimPrefix(s.Host, "["), "]")
	return s.Protocol + "://" + net.JoinHostPort(host, s.Port)
}

// CertificateAuthority returns the certificates in PEM with which the plugins verify the API server, nil if they do not
// verify it.
func (s Server) CertificateAuthority() ([]byte, error) {
	if s.SkipTLSVerify || s.Protocol == "http" {
		return nil, nil
	}
	path := filepath.Join(s.ServiceAccountDir, "ca.crt")
	pem, err := safeopen.ReadRegular(path)
	if err != nil {
		return nil, fmt.Errorf("read the API server's certificate authority: %w; "+
			"let Kubernetes mount the pod's service account token there", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the API server's certificate authority: %s contains no certificate in PEM", path)
	}
	return pem, nil
}

// kubeconfigFile has the fields of a kubeconfig file, version v1, that the plugins need.
type kubeconfigFile struct {
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

// Kubeconfig renders the plugins' kubeconfig.
func (s Server) Kubeconfig(ca []byte, token string) ([]byte, error) {
	data, err := yaml.Marshal(kubeconfigFile{
		APIVersion: "v1", Kind: "Config",
		Clusters:       []namedCluster{{"local", cluster{s.URL(), ca, s.SkipTLSVerify}}},
		Users:          []namedUser{{"calico", user{token}}},
		Contexts:       []namedContext{{"calico-context", clusterAndUser{"local", "calico"}}},
		CurrentContext: "calico-context",
	})
	if err != nil {
		// The error of the encoder may quote the token.
		return nil, errors.New("encode kubeconfig")
	}
	return append([]byte(Head), data...), nil
}

// TokenOf returns the token in a kubeconfig that Kubeconfig rendered, empty if there is none.
func TokenOf(data []byte) string {
	var k kubeconfigFile
	if err := yaml.Unmarshal(data, &k); err != nil || len(k.Users) == 0 {
		return ""
	}
	return k.Users[0].User.Token
}
