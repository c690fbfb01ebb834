// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"calico-cni/pkg/workload"
)

// normalize fills in the defaults and unifies alternative spellings.
func (c *NetConf) normalize() {
	c.CNIVersion = cmp.Or(c.CNIVersion, DefaultCNIVersion)
	c.NumQueues = cmp.Or(c.NumQueues, DefaultNumQueues)
	c.DeviceType = cmp.Or(c.DeviceType, "veth")
	c.NodenameFile = cmp.Or(c.NodenameFile, DefaultNodenameFile)
	c.IPAMLockFile = cmp.Or(c.IPAMLockFile, DefaultIPAMLockFile)
	c.DatastoreType = cmp.Or(c.DatastoreType, kubernetesDatastore)
	c.CalicoAPIGroup = cmp.Or(c.CalicoAPIGroup, crdGroup)
	c.LogLevel = cmp.Or(c.LogLevel, DefaultLogLevel)
	c.LogFileMaxSize = cmp.Or(c.LogFileMaxSize, DefaultLogFileMaxSize)
	c.LogFileMaxAge = cmp.Or(c.LogFileMaxAge, DefaultLogFileMaxAge)
	c.LogFileMaxCount = cmp.Or(c.LogFileMaxCount, DefaultLogFileMaxCount)
	c.EndpointStatusDir = cmp.Or(c.EndpointStatusDir, DefaultEndpointStatusDir)
	if string(c.RawPrevResult) == "null" {
		c.RawPrevResult = nil
	}
}

// validate returns the first error of a normalized configuration.
func (c *NetConf) validate() error {
	return cmp.Or(c.checkName(), c.checkPaths(), c.checkDevice(), c.checkDatastore(), c.checkWaits(), c.checkRequests(),
		c.checkAttachments())
}

// checkName checks the name against section 1 of the CNI specification 1.1.0.
func (c *NetConf) checkName() error {
	for i, r := range c.Name {
		alphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("_.-", r)) {
			return invalid("name", c.Name, "want a letter or digit, then letters, digits and any of _.-")
		}
	}
	if c.Name == "" {
		return invalid("name", c.Name, "want the name of the network")
	}
	return nil
}

// checkPaths rejects paths that no file can have. The error of the system would not name the field.
func (c *NetConf) checkPaths() error {
	for _, path := range []struct{ field, value string }{
		{"nodename_file", c.NodenameFile},
		{"ipam_lock_file", c.IPAMLockFile},
		{"log_file_path", c.LogFilePath},
		{"endpoint_status_dir", c.EndpointStatusDir},
		{"kubernetes.kubeconfig", c.Kubernetes.Kubeconfig},
		{"policy.k8s_client_certificate", c.Policy.ClientCertificate},
		{"policy.k8s_certificate_authority", c.Policy.CertificateAuthority},
	} {
		if strings.ContainsRune(path.value, 0) {
			return invalid(path.field, path.value, "want the path of a file, without NUL bytes")
		}
	}
	if strings.ContainsRune(c.Policy.ClientKey.Reveal(), 0) {
		return &FieldError{ErrInvalid, "policy.k8s_client_key", "", "want the path of a file, without NUL bytes"}
	}
	return nil
}

// checkNetwork rejects a name that CNI allows but block IPAM cannot use. Every ADD would fail.
func (c *NetConf) checkNetwork() error {
	if c.IPAM.Type == CalicoIPAM && !workload.ValidNetwork(c.Name) {
		return invalid("name", c.Name, fmt.Sprintf("with calico-ipam the names of Kubernetes objects begin with it: "+
			"want letters, digits, hyphens and dots, "+
			"a letter or digit at each end and beside each dot, %d bytes at most", workload.MaxNetwork))
	}
	return nil
}

// Limits of the kernel for the MTU of an interface (ETH_MIN_MTU, ETH_MAX_MTU).
const (
	LeastMTU = 68
	MostMTU  = 65535
)

// checkDevice checks the limits of the kernel. Those for queues are from rtnl_create_link.
func (c *NetConf) checkDevice() error {
	switch {
	case c.MTU != 0 && (c.MTU < LeastMTU || c.MTU > MostMTU):
		return invalid("mtu", c.MTU, "want 68 to 65535, or 0 to take it from the file that the node agent writes")
	case c.NumQueues > maxQueues:
		return invalid("num_queues", c.NumQueues, fmt.Sprintf("want 1 to %d", maxQueues))
	case c.DeviceType != "veth" && c.DeviceType != "netkit":
		return invalid("device_type", c.DeviceType, `want "veth" or "netkit"`)
	}
	return nil
}

func (c *NetConf) checkDatastore() error {
	switch {
	case c.DatastoreType != kubernetesDatastore:
		return invalid("datastore_type", c.DatastoreType, `want "kubernetes"`)
	case c.CalicoAPIGroup == v3Group:
		return unsupported("calico_api_group", c.CalicoAPIGroup, fmt.Sprintf("want %q", crdGroup))
	case c.CalicoAPIGroup != crdGroup:
		return invalid("calico_api_group", c.CalicoAPIGroup, fmt.Sprintf("want %q", crdGroup))
	}
	return nil
}

// ParseLevel returns the log level for a name: one of the four levels, or the name that another logger uses for it, in
// any case. ok is false for any other name.
func ParseLevel(name string) (level string, ok bool) {
	switch level := strings.ToLower(name); level {
	case "debug", "info", "warning", "error":
		return level, true
	case "trace":
		return "debug", true
	case "warn":
		return "warning", true
	case "fatal", "panic":
		return "error", true
	}
	return "", false
}

// Level returns LogLevel for slog.
func (c *NetConf) Level() slog.Level {
	switch c.LogLevel {
	case "debug":
		return slog.LevelDebug
	case "warning":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (c *NetConf) checkWaits() error {
	if seconds := c.PolicySetupTimeoutSeconds; seconds < 0 {
		return invalid("policy_setup_timeout_seconds", seconds, fmt.Sprintf("want seconds up to %d, or 0 not to wait",
			maxSeconds))
	}
	for i, gate := range c.ReadinessGates {
		u, err := url.Parse(gate)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			// A URL may contain a password, which cannot be removed from a URL that does not parse.
			return &FieldError{ErrInvalid, fmt.Sprintf("readiness_gates[%d]", i), "", "want an http or https URL"}
		}
	}
	return nil
}

func (c *NetConf) checkRequests() error {
	field, ips := c.requestedIPTexts()
	seen := map[bool]bool{}
	for i, ip := range ips {
		addr, ok := parseAddr(ip)
		if !ok {
			return invalid(fmt.Sprintf("%s[%d]", field, i), ip, "want an IP address, with or without prefix length")
		}
		if seen[addr.Is4()] {
			return invalid(fmt.Sprintf("%s[%d]", field, i), ip, "want at most one IPv4 and one IPv6 address")
		}
		seen[addr.Is4()] = true
	}
	if mac := c.RuntimeConfig.MAC; mac != "" {
		if _, ok := parseMAC(mac); !ok {
			return invalid("runtimeConfig.mac", mac, wantMAC)
		}
	}
	return nil
}

// checkAttachments rejects an incomplete entry: GC would otherwise remove attachments that are in use.
func (c *NetConf) checkAttachments() error {
	for i, a := range c.ValidAttachments {
		if a.ContainerID == "" || a.IfName == "" {
			return &FieldError{
				ErrInvalid, fmt.Sprintf("cni.dev/valid-attachments[%d]", i), "",
				"want containerID and ifname",
			}
		}
	}
	return nil
}

// parseAddr parses an address, or the address of a CIDR.
func parseAddr(text string) (netip.Addr, bool) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		return prefix.Addr().Unmap(), err == nil
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

const wantMAC = "want a unicast MAC address of six bytes other than the gateway's, ee:ee:ee:ee:ee:ee, such as " +
	"0a:58:0a:00:00:05"

// parseMAC rejects multicast and all-zero addresses, as the kernel does (is_valid_ether_addr), and that of the host's
// end.
func parseMAC(text string) (net.HardwareAddr, bool) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 {
		return nil, false
	}
	return mac, mac.String() != "00:00:00:00:00:00" && mac.String() != "ee:ee:ee:ee:ee:ee"
}
