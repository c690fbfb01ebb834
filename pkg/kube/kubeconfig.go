package kube

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Why credentials are of no use. What client-go says of them quotes values, and any value may be a secret in the wrong
// place; so it is said in these words.
var (
	errSyntax       = errors.New("it is not YAML")
	errKind         = errors.New(`it is not a kubeconfig: want kind "Config" and apiVersion "v1"`)
	errFields       = errors.New("it is not a kubeconfig: a field is of the wrong type, or its data not base64")
	errEmpty        = errors.New("it has no clusters, users and contexts")
	errContext      = errors.New("its current-context is not among its contexts")
	errCluster      = errors.New("the cluster of its current context is not among its clusters")
	errUser         = errors.New("its user has credentials that are not usable, or exclude each other")
	errUnknownUser  = errors.New("the user of its current context is not among its users")
	errServer       = errors.New("the server of its cluster is missing or not a URL")
	errCertificates = errors.New("its CA certificate, client certificate and key, or credential plugin cannot be used: want PEM, and a key that is the certificate's")
)

// Load returns a client with the credentials of a kubeconfig file. It reads the file and those that it names, and
// nothing else: no request is made. An error wraps ErrKubeconfig, and fs.ErrNotExist when a file is missing; it shows
// nothing that the file says.
func Load(path, userAgent string) (*Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; the install container writes it: see whether its pod runs on this node", ErrKubeconfig, path, err)
	}
	config, err := parse(data, path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; let the install container write it anew", ErrKubeconfig, path, err)
	}
	c, err := fromConfig(config, "kubeconfig "+path, userAgent)
	if err != nil {
		return nil, fmt.Errorf("%w; let the install container write it anew", err)
	}
	return c, nil
}

// Direct is how to reach an API server without a kubeconfig, as configurations from before those files have it.
type Direct struct {
	// Server is its URL.
	Server string
	// Token is a bearer token; the others are paths of files.
	Token, Certificate, Key, CA string
}

// Client returns a client for the server. It reads the files, and makes no request. An error wraps ErrKubeconfig, and
// fs.ErrNotExist when a file is missing; it shows no value.
func (d Direct) Client(userAgent string) (*Client, error) {
	const source = "the CNI configuration"
	server := &api.Cluster{Server: d.Server, CertificateAuthority: d.CA}
	user := &api.AuthInfo{Token: d.Token, ClientCertificate: d.Certificate, ClientKey: d.Key}
	if err := readable(server, user); err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, err)
	}
	raw := api.NewConfig()
	raw.Clusters["direct"], raw.AuthInfos["direct"] = server, user
	raw.Contexts["direct"], raw.CurrentContext = &api.Context{Cluster: "direct", AuthInfo: "direct"}, "direct"
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("%w in %s: %w", ErrKubeconfig, source, unquoted(err, errUser))
	}
	return fromConfig(config, source, userAgent)
}

// parse reads the kubeconfig that is at path.
func parse(data []byte, path string) (*rest.Config, error) {
	raw, err := clientcmd.Load(data)
	if err != nil {
		return nil, undecodable(err)
	}
	if api.IsConfigEmpty(raw) {
		return nil, errEmpty
	}
	current := raw.Contexts[raw.CurrentContext]
	if current == nil {
		return nil, errContext
	}
	cluster, user := raw.Clusters[current.Cluster], raw.AuthInfos[current.AuthInfo]
	switch {
	case cluster == nil:
		return nil, errCluster
	case user == nil:
		return nil, errUnknownUser
	case cluster.Server == "":
		return nil, errServer
	}
	// Paths in the file are relative to it, not to wherever the runtime happens to run.
	cluster.LocationOfOrigin, user.LocationOfOrigin = path, path
	if err := clientcmd.ResolveLocalPaths(raw); err != nil {
		return nil, errors.New("its path cannot be made absolute")
	}
	if err := readable(cluster, user); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, unquoted(err, errUser)
	}
	return config, nil
}

// readable opens the files that the kubeconfig names. An error has the field and not the path.
func readable(cluster *api.Cluster, user *api.AuthInfo) error {
	for _, f := range []struct{ field, path string }{
		{"certificate-authority", cluster.CertificateAuthority},
		{"client-certificate", user.ClientCertificate},
		{"client-key", user.ClientKey},
		{"tokenFile", user.TokenFile},
	} {
		if f.path == "" {
			continue
		}
		file, err := os.Open(f.path)
		if err != nil {
			return fmt.Errorf("the file of its %s: %w", f.field, cause(err))
		}
		_ = file.Close()
	}
	return nil
}

// undecodable gives an error of the decoder without what it quotes.
func undecodable(err error) error {
	var line int
	if n, _ := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); n == 1 {
		return fmt.Errorf("%w: see line %d", errSyntax, line)
	}
	if strings.HasPrefix(err.Error(), "yaml: ") {
		return errSyntax
	}
	if runtime.IsNotRegisteredError(err) || runtime.IsMissingKind(err) || runtime.IsMissingVersion(err) {
		return errKind
	}
	return errFields
}

// unquoted returns the class of an error in place of its words: a file that is missing or closed to us, else what is
// given.
func unquoted(err, other error) error {
	for _, class := range []error{fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, class) {
			return fmt.Errorf("%w: %w", other, class)
		}
	}
	return other
}

// cause returns why the system refuses a file, without its path.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
