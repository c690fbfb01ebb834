package kube

import (
	"bytes"
	"fmt"
)

// CheckKubeconfig returns why Load refuses a kubeconfig with this content at this path, nil when it does not. It reads the
// files that the kubeconfig names. An error wraps ErrKubeconfig, and fs.ErrNotExist when one of them is missing; it shows
// nothing that the kubeconfig says.
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
