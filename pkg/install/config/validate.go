// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/netconf"
)

// The supported values of DATASTORE_TYPE and CALICO_API_GROUP.
const (
	KubernetesDatastore = "kubernetes"
	CRDGroup            = "crd.projectcalico.org/v1"
	V3Group             = "projectcalico.org/v3"
)

// Validate returns all faults, each with the name of its variable. The error wraps fault.ErrConfig. For verbs other
// than VerbInstall it ignores fields that only an installation uses.
func (c Config) Validate() error {
	if c.Verb != VerbInstall {
		return invalid(checkPaths(c), checkNames(c), checkOutput(c.Output))
	}
	return invalid(checkPaths(c), checkNames(c), checkServer(c), checkPlugin(c), checkWatch(c))
}

// invalid joins faults under fault.ErrConfig. It returns nil if there are none.
func invalid(faults ...error) error {
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %w", fault.ErrConfig, err)
	}
	return nil
}

func checkOutput(format string) error {
	if format != "" && format != "text" && format != "json" {
		return fmt.Errorf("--output %q: want text or json", format)
	}
	return nil
}

func checkWatch(c Config) error {
	var address, cleanup error
	if c.HealthAddr != "" {
		_, port, err := net.SplitHostPort(c.HealthAddr)
		if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
			address = fmt.Errorf("HEALTH_ADDR %q: want host:port, such as 127.0.0.1:9097", c.HealthAddr)
		}
	}
	if c.CleanupOnExit && !c.Watch {
		cleanup = errors.New("CLEANUP_ON_EXIT is true and WATCH is not: want both, or use install uninstall")
	}
	_, age := c.TokenAge()
	return errors.Join(address, cleanup, age)
}

func checkPaths(c Config) error {
	return errors.Join(
		absolute("CNI_HOST_ROOT", c.HostRoot),
		absolute("CNI_BIN_SOURCE", c.BinSource),
		absolute("CNI_NET_DIR", c.NetDir),
		absolute("CNI_SERVICE_ACCOUNT_DIR", c.ServiceAccountDir),
	)
}

func checkNames(c Config) error {
	var old, node, account, chain error
	if c.ChainInto != "" {
		chain = fileName("CNI_CHAIN_INTO", c.ChainInto)
		if chain == nil && filepath.Ext(c.ChainInto) != ".conflist" {
			chain = fmt.Errorf("CNI_CHAIN_INTO %q: want a list of plugins, a name that ends in .conflist", c.ChainInto)
		}
	}
	if c.OldConfName != "" {
		old = fileName("CNI_OLD_CONF_NAME", c.OldConfName)
	}
	if c.NodeName != "" {
		node = CheckNodeName("KUBERNETES_NODE_NAME", c.NodeName)
	}
	if c.ServiceAccount == "" || strings.ContainsAny(c.ServiceAccount, "/ ") {
		account = fmt.Errorf("CALICO_CNI_SERVICE_ACCOUNT %q: want the name of a service account", c.ServiceAccount)
	}
	return errors.Join(checkConfName(c.ConfName), old, node, account, chain)
}

func checkConfName(name string) error {
	if err := fileName("CNI_CONF_NAME", name); err != nil {
		return err
	}
	ext := filepath.Ext(name)
	switch {
	case strings.HasPrefix(name, "."):
		return fmt.Errorf("CNI_CONF_NAME %q: want a name that does not start with a dot, such as 10-calico.conflist", name)
	case ext != ".conflist" && ext != ".conf" && ext != ".json":
		return fmt.Errorf("CNI_CONF_NAME %q: want a name that ends in .conflist, or no runtime reads it", name)
	}
	return nil
}

func checkServer(c Config) error {
	var host, port, protocol error
	if c.ServiceHost == "" {
		host = errors.New("KUBERNETES_SERVICE_HOST is empty: want the address of the API server; " +
			"Kubernetes sets it in every pod")
	} else if !isHost(c.ServiceHost) {
		host = fmt.Errorf("KUBERNETES_SERVICE_HOST %q: want a host name or an address, without scheme, port and path",
			c.ServiceHost)
	}
	if n, err := strconv.ParseUint(c.ServicePort, 10, 16); err != nil || n == 0 {
		port = fmt.Errorf("KUBERNETES_SERVICE_PORT %q: want a port, 1 to 65535", c.ServicePort)
	}
	if c.ServiceProtocol != "https" && c.ServiceProtocol != "http" {
		protocol = fmt.Errorf("KUBERNETES_SERVICE_PROTOCOL %q: want https or http", c.ServiceProtocol)
	}
	return errors.Join(host, port, protocol)
}

// hostName matches a host name: letters, digits and any of _.-, as in DNS names.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?$`)

// isHost reports whether a text can precede a port in a URL. An address may be in brackets. It must have no zone, which
// has no meaning on another node.
func isHost(text string) bool {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Zone() == ""
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == ""
	}
	return hostName.MatchString(text)
}

// minIPv6MTU is the minimum MTU for IPv6 (RFC 8200, section 5).
const minIPv6MTU = 1280

func checkPlugin(c Config) error {
	var mtu, families, datastore, group error
	switch {
	case c.MTU != 0 && (c.MTU < netconf.LeastMTU || c.MTU > netconf.MostMTU):
		mtu = fmt.Errorf("CNI_MTU %d: want 68 to 65535, or 0 to use the MTU in the node agent's file", c.MTU)
	case c.MTU != 0 && c.MTU < minIPv6MTU && c.AssignIPv6:
		mtu = fmt.Errorf("CNI_MTU %d: IPv6 needs %d at least; raise it, or set CNI_ASSIGN_IPV6 to false",
			c.MTU, minIPv6MTU)
	}
	if !c.AssignIPv4 && !c.AssignIPv6 {
		families = errors.New("CNI_ASSIGN_IPV4 and CNI_ASSIGN_IPV6 are both false: want at least one address family")
	}
	if c.DatastoreType != "" && c.DatastoreType != KubernetesDatastore {
		datastore = fmt.Errorf("DATASTORE_TYPE %q: only the Kubernetes datastore is supported: want %q",
			c.DatastoreType, KubernetesDatastore)
	}
	if c.APIGroup != "" && c.APIGroup != CRDGroup && c.APIGroup != V3Group {
		group = fmt.Errorf("CALICO_API_GROUP %q: want %q or %q", c.APIGroup, CRDGroup, V3Group)
	}
	return errors.Join(mtu, families, datastore, group)
}

func absolute(variable, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s %q: want an absolute path", variable, path)
	}
	return nil
}

func fileName(variable, name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("%s %q: want the name of a file in CNI_NET_DIR, without a path", variable, name)
	}
	if name == credentials.KubeconfigName {
		return fmt.Errorf("%s %q: that is the kubeconfig of the plugins; want the name of another file", variable, name)
	}
	return nil
}

// validNodeName matches what Kubernetes accepts as the name of a node, up to maxNodeName bytes: an RFC 1123 subdomain.
var validNodeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

const maxNodeName = 253

// CheckNodeName returns an error that names the variable unless Kubernetes accepts name as the name of a node.
func CheckNodeName(variable, name string) error {
	if len(name) > maxNodeName || !validNodeName.MatchString(name) {
		return fmt.Errorf("%s %.*q: want the name of the node as Kubernetes has it: up to %d lower-case letters, digits, "+
			"'-' and '.', with a letter or digit at each end and beside each dot", variable, maxNodeName, name, maxNodeName)
	}
	return nil
}
