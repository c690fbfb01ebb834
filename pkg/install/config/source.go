// SPDX-License-Identifier: Apache-2.0

package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/fault"
)

// PodNamespace returns the namespace of the plugins' service account: the configured one, or else the pod's own.
func (c Config) PodNamespace() (string, error) {
	if c.Namespace != "" {
		return c.Namespace, nil
	}
	path := filepath.Join(c.ServiceAccountDir, "namespace")
	data, err := safeopen.ReadRegular(path)
	if err != nil {
		return "", fmt.Errorf("read the pod's namespace: %w; set --namespace when not run in a pod", err)
	}
	if name := strings.TrimSpace(string(data)); name != "" {
		return name, nil
	}
	return "", fmt.Errorf("read the pod's namespace: %s is empty; set --namespace", path)
}

// Template returns the template of the network configuration, empty if there is none. As with Calico, the file takes
// precedence over the text.
func (c Config) Template() (string, error) {
	if c.NetworkConfigFile == "" {
		return c.NetworkConfig, nil
	}
	data, err := safeopen.ReadRegular(c.NetworkConfigFile)
	if err != nil {
		return "", fmt.Errorf("%w: CNI_NETWORK_CONFIG_FILE: %w; mount the file there, "+
			"or unset the variable to use the built-in configuration", fault.ErrConfig, err)
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", fmt.Errorf("%w: CNI_NETWORK_CONFIG_FILE %s is empty", fault.ErrConfig, c.NetworkConfigFile)
	}
	return string(data), nil
}
