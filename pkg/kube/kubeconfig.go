// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// kubeconfigFile has the fields of a kubeconfig, version v1, that a client needs. Other fields are ignored.
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

// cluster is the address of an API server and how to verify it.
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

// user has the credentials of the requests.
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

// Load returns a client for a CNI plugin, with the kubeconfig file that the CNI configuration names. Its errors mention
// the install container only for the file that this container writes. Load reads the file and the files that it names.
// It makes no request and runs no credential plugin. An error wraps ErrKubeconfig, and fs.ErrNotExist if a file is
// missing. It quotes no value of the file.
func Load(path, userAgent string) (*Client, error) {
	origin := originOf(path)
	c, err := loadFrom(path, origin, userAgent)
	switch {
	case err == nil:
		return c, nil
	case !exists(path) && origin == installed:
		return nil, fmt.Errorf("%w; the install container writes it: check that its pod runs on this node", err)
	case !exists(path):
		return nil, fmt.Errorf("%w; create it, or correct kubernetes.kubeconfig in the CNI configuration", err)
	}
	return nil, fmt.Errorf("%w; correct the file, or restart the install container on this node if it wrote the file",
		err)
}

// LoadSupplied is like Load for a kubeconfig from a user, such as KUBECONFIG. No error mentions the install container.
func LoadSupplied(path, userAgent string) (*Client, error) {
	return loadFrom(path, supplied, userAgent)
}

// loadFrom returns a client with a kubeconfig of the given origin.
func loadFrom(path string, origin origin, userAgent string) (*Client, error) {
	cluster, user, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKubeconfig, path, err)
	}
	return newClient(cluster, user, provenance{source: "kubeconfig " + path, origin: origin}, userAgent)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// open reads a kubeconfig and returns the cluster and user of its current context.
func open(path string) (cluster, user, error) {
	data, err := readFile(path)
	if errors.Is(err, errBlankFile) {
		err = errNoText
	}
	if err != nil {
		return cluster{}, user{}, err
	}
	return interpret(data, path)
}

// interpret returns the cluster and user of the current context of a kubeconfig with this content and path.
func interpret(data []byte, path string) (cluster, user, error) {
	c, u, err := parse(data)
	if err == nil {
		err = anchor(&c, &u, path)
	}
	return c, u, err
}

// parse returns the cluster and user of the current context.
func parse(data []byte) (cluster, user, error) {
	file, err := decodeKubeconfig(data)
	if err != nil {
		return cluster{}, user{}, err
	}
	current, itsCluster, itsUser := file.CurrentContext, "", ""
	contexts, err := byName(len(file.Contexts), func(i int) string { return file.Contexts[i].Name })
	if err != nil {
		return cluster{}, user{}, err
	}
	clusters, err := byName(len(file.Clusters), func(i int) string { return file.Clusters[i].Name })
	if err != nil {
		return cluster{}, user{}, err
	}
	users, err := byName(len(file.Users), func(i int) string { return file.Users[i].Name })
	if err != nil {
		return cluster{}, user{}, err
	}
	i, found := contexts[current]
	if found {
		itsCluster, itsUser = file.Contexts[i].Context.Cluster, file.Contexts[i].Context.User
	}
	c, hasCluster := clusters[itsCluster]
	u, hasUser := users[itsUser]
	switch {
	case len(clusters)+len(users)+len(contexts) == 0:
		return cluster{}, user{}, errEmpty
	case current == "":
		return cluster{}, user{}, errNoContext
	case !found:
		return cluster{}, user{}, errContext
	case !hasCluster:
		return cluster{}, user{}, errCluster
	case itsUser == "":
		return cluster{}, user{}, errNoUser
	case !hasUser:
		return cluster{}, user{}, errUser
	}
	return file.Clusters[c].Cluster, file.Users[u].User, nil
}

// byName returns the indexes of n entries by name. The names must be unique.
func byName(n int, name func(i int) string) (map[string]int, error) {
	index := make(map[string]int, n)
	for i := range n {
		if _, twice := index[name(i)]; twice {
			return nil, errNames
		}
		index[name(i)] = i
	}
	return index, nil
}

// anchor makes relative paths in a kubeconfig relative to its directory instead of the working directory of the
// runtime. A command without a slash is looked up in PATH.
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
