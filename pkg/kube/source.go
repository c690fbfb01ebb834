// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"fmt"
)

// CheckKubeconfig returns the error with which Load rejects a kubeconfig with this content and path. It reads the files
// that the kubeconfig names. The error wraps ErrKubeconfig, and fs.ErrNotExist if a file is missing. It contains no
// value of the kubeconfig.
func CheckKubeconfig(data []byte, path string) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return fmt.Errorf("%w %s: %w", ErrKubeconfig, path, errNoText)
	}
	cluster, user, err := interpret(data, path)
	if err != nil {
		return fmt.Errorf("%w %s: %w", ErrKubeconfig, path, err)
	}
	c, err := newClient(cluster, user, "kubeconfig "+path, "")
	if err == nil {
		c.Close()
	}
	return err
}

// NewPodClient returns a client with the service account that is mounted at a directory, for the API server at host and
// port. An empty port means 443. It is InCluster for a process that has these values from another source than its
// environment.
func NewPodClient(mount, host, port, userAgent string) (*Client, error) {
	return podClient(mount, host, port, userAgent)
}
