// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"calico-cni/internal/atomicfile"
)

// NodeName returns the name of the node: the variable NODENAME, or else the content of the nodename file, the variable
// HOSTNAME, or the name of the host.
func NodeName(env map[string]string, file, host string) (string, error) {
	for _, name := range []string{env["NODENAME"], file, env["HOSTNAME"], host} {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
			return "", fmt.Errorf("%q is not the name of a node; set NODENAME to the name that `kubectl get nodes` shows", name)
		}
		return name, nil
	}
	return "", errors.New("the node has no name; set NODENAME to the name that `kubectl get nodes` shows")
}

// The files of the node, which the plugins and tools read. All users may read them.
const (
	// DefaultNodeNameFile has the name of the node. The variable CALICO_NODENAME_FILE changes the path.
	DefaultNodeNameFile = "/var/lib/calico/nodename"
	// DefaultMTUFile has the MTU of pods.
	DefaultMTUFile = "/var/lib/calico/mtu"

	fileMode = 0o644
)

// WriteNodeName writes the nodename file. Write it after the addresses of the node are known, because its presence
// means that the agent has started.
func WriteNodeName(path, name string) error { return writeFile(path, name) }

// WriteMTU writes the file with the MTU of pods.
func WriteMTU(path string, mtu int) error { return writeFile(path, strconv.Itoa(mtu)) }

// writeFile replaces a file atomically if its content differs. The content has no newline, because Calico's plugin does
// not trim it.
func writeFile(path, content string) error {
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		_, err = atomicfile.WriteFile(path, []byte(content), fileMode)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w; mount the directory of the host read-write", path, err)
	}
	return nil
}
