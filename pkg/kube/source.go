package kube

import (
	"fmt"
	"os"
)

// Open returns a client with the credentials of a kubeconfig file that somebody else maintains. It is Load without Load's
// remedy, which is the install container's.
func Open(path, userAgent string) (*Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKubeconfig, path, cause(err))
	}
	return open(data, path, userAgent)
}

// CheckKubeconfig returns why Load refuses a kubeconfig with this content at this path, nil when it does not. It reads the
// files that the kubeconfig names. An error wraps ErrKubeconfig, and fs.ErrNotExist when one of them is missing; it shows
// nothing that the kubeconfig says.
func CheckKubeconfig(data []byte, path string) error {
	c, err := open(data, path, "")
	if err == nil {
		c.Close()
	}
	return err
}

func open(data []byte, path, userAgent string) (*Client, error) {
	cluster, user, err := parse(data)
	if err == nil {
		err = anchor(&cluster, &user, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s: %w", ErrKubeconfig, path, err)
	}
	return newClient(cluster, user, "kubeconfig "+path, userAgent)
}

// InPod returns a client with the service account that Kubernetes mounts at a directory, for the API server at host and
// port. It is InCluster for a process that has them from elsewhere than its environment.
func InPod(mount, host, port, userAgent string) (*Client, error) {
	return inPod(mount, host, port, userAgent)
}
