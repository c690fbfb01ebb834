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
	c, err := newClient(cluster, user, provenance{source: "kubeconfig " + path}, "")
	if err == nil {
		c.Close()
	}
	return err
}
