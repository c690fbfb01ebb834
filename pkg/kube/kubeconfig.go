package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Why credentials are of no use. What decoders and the system say of them quotes values, and any value may be a secret in
// the wrong place; so it is said in these words.
var (
	errSyntax       = errors.New("it is not YAML")
	errKind         = errors.New(`it is not a kubeconfig: want kind "Config" and apiVersion "v1"`)
	errFields       = errors.New("it is not a kubeconfig: a field is of the wrong type, or its data not base64")
	errNames        = errors.New("two of its clusters, users or contexts have the same name")
	errEmpty        = errors.New("it has no clusters, users and contexts")
	errContext      = errors.New("its current-context is not among its contexts")
	errCluster      = errors.New("the cluster of its current context is not among its clusters")
	errUser         = errors.New("its user has credentials that are not usable, or exclude each other")
	errUnknownUser  = errors.New("the user of its current context is not among its users")
	errServer       = errors.New("the server of its cluster is missing or not a URL")
	errProxy        = errors.New("its proxy-url is not one of scheme http, https or socks5")
	errCertificates = errors.New("its CA certificate, or its client certificate and key, cannot be used: want PEM, each as data or as a file, and a key that is the certificate's")
	errPlugin       = errors.New("its credential plugin (exec) cannot be used: want a command, and apiVersion client.authentication.k8s.io/v1 or v1beta1")
	errAuthProvider = errors.New("its user has an auth-provider, which Kubernetes has given up: want a token, a client certificate or a credential plugin (exec)")
)

// kubeconfigFile is a kubeconfig, version v1, as far as a client needs it. Other fields are ignored.
//
// Source: the Kubernetes reference, "kubeconfig (v1)".
type kubeconfigFile struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Clusters   []struct {
		Name    string  `json:"name"`
		Cluster cluster `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User user   `json:"user"`
	} `json:"users"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	CurrentContext string `json:"current-context"`
}

// cluster says where an API server is, and how to know it.
type cluster struct {
	Server             string      `json:"server"`
	ServerName         string      `json:"tls-server-name,omitempty"`
	Insecure           bool        `json:"insecure-skip-tls-verify,omitempty"`
	CAFile             string      `json:"certificate-authority,omitempty"`
	CA                 []byte      `json:"certificate-authority-data,omitempty"`
	Proxy              string      `json:"proxy-url,omitempty"`
	DisableCompression bool        `json:"disable-compression,omitempty"`
	Extensions         []extension `json:"extensions,omitempty"`
}

type extension struct {
	Name      string          `json:"name"`
	Extension json.RawMessage `json:"extension"`
}

// user says who asks.
type user struct {
	CertificateFile string          `json:"client-certificate"`
	Certificate     []byte          `json:"client-certificate-data"`
	KeyFile         string          `json:"client-key"`
	Key             []byte          `json:"client-key-data"`
	Token           string          `json:"token"`
	TokenFile       string          `json:"tokenFile"`
	Username        string          `json:"username"`
	Password        string          `json:"password"`
	Exec            *plugin         `json:"exec"`
	AuthProvider    json.RawMessage `json:"auth-provider"`
	impersonation
}

// Load returns a client with the credentials of a kubeconfig file. It reads the file and those that it names, and
// nothing else: no request is made, and no credential plugin run. An error wraps ErrKubeconfig, and fs.ErrNotExist when a
// file is missing; it shows nothing that the file says.
func Load(path, userAgent string) (*Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; the install container writes it: see whether its pod runs on this node", ErrKubeconfig, path, err)
	}
	cluster, user, err := parse(data)
	if err == nil {
		err = anchor(&cluster, &user, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w; let the install container write it anew", ErrKubeconfig, path, err)
	}
	c, err := newClient(cluster, user, "kubeconfig "+path, userAgent)
	if err != nil {
		return nil, fmt.Errorf("%w; let the install container write it anew", err)
	}
	return c, nil
}

// parse returns the cluster and the user of the current context.
func parse(data []byte) (cluster, user, error) {
	file, err := decodeKubeconfig(data)
	if err != nil {
		return cluster{}, user{}, err
	}
	if len(file.Clusters) == 0 && len(file.Users) == 0 && len(file.Contexts) == 0 {
		return cluster{}, user{}, errEmpty
	}
	current, err := only(file.Contexts, func(i int) bool { return file.Contexts[i].Name == file.CurrentContext }, errContext)
	if err != nil {
		return cluster{}, user{}, err
	}
	itsCluster, err := only(file.Clusters, func(i int) bool { return file.Clusters[i].Name == current.Context.Cluster }, errCluster)
	if err != nil {
		return cluster{}, user{}, err
	}
	itsUser, err := only(file.Users, func(i int) bool { return file.Users[i].Name == current.Context.User }, errUnknownUser)
	return itsCluster.Cluster, itsUser.User, err
}

// decodeKubeconfig reads YAML or JSON. A file that does not say its kind is taken for a kubeconfig.
func decodeKubeconfig(data []byte) (kubeconfigFile, error) {
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		var line int
		if n, _ := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); n == 1 {
			return kubeconfigFile{}, fmt.Errorf("%w: see line %d", errSyntax, line)
		}
		return kubeconfigFile{}, errSyntax
	}
	file := kubeconfigFile{APIVersion: "v1", Kind: "Config"}
	switch err := json.Unmarshal(text, &file); {
	case err != nil:
		return kubeconfigFile{}, errFields
	case file.APIVersion != "v1" || file.Kind != "Config":
		return kubeconfigFile{}, errKind
	}
	return file, nil
}

// only returns the one entry of a list that is asked for, or missing.
func only[T any](list []T, is func(i int) bool, missing error) (found T, err error) {
	err = missing
	for i := range list {
		switch {
		case !is(i):
		case err == nil:
			return found, errNames
		default:
			found, err = list[i], nil
		}
	}
	return found, err
}

// anchor makes the paths in a kubeconfig relative to the file, and not to wherever the runtime happens to run. A command
// without a slash is looked for in PATH.
func anchor(c *cluster, u *user, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return errors.New("its path cannot be made absolute")
	}
	paths := []*string{&c.CAFile, &u.CertificateFile, &u.KeyFile, &u.TokenFile}
	if u.Exec != nil && filepath.Base(u.Exec.Command) != u.Exec.Command {
		paths = append(paths, &u.Exec.Command)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return nil
}

// material returns what a kubeconfig has as data or in a file, and nothing when it has neither. An error has the field and
// not the path.
func material(field string, data []byte, path string) ([]byte, error) {
	if path == "" {
		return data, nil
	}
	if len(data) > 0 {
		return nil, errCertificates
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the file of its %s: %w", field, cause(err))
	}
	return data, nil
}

// cause returns why the system refuses a file, without its path.
func cause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
