// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"calico-cni/pkg/workload"
)

// validate returns the first error of a normalized configuration.
func validate(c *NetConf) error {
	return cmp.Or(checkName(c.Name), checkPaths(c), checkDevice(c), checkDatastore(c), checkWaits(c), checkRequests(c),
		checkAttachments(c.ValidAttachments))
}

// checkName checks the name against section 1 of the CNI specification 1.1.0.
func checkName(name string) error {
	for i, r := range name {
		alphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if !alphanumeric && (i == 0 || !strings.ContainsRune("_.-", r)) {
			return invalid("name", name, "want a letter or digit, then letters, digits and any of _.-")
		}
	}
	if name == "" {
		return invalid("name", name, "want the name of the network")
	}
	return nil
}

// checkPaths rejects paths that no file can have. The error of the system would not name the field.
func checkPaths(c *NetConf) error {
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
func checkNetwork(c *NetConf) error {
	if c.IPAM.Type == CalicoIPAM && !workload.ValidNetwork(c.Name) {
		return invalid("name", c.Name, fmt.Sprintf("with calico-ipam the names of Kubernetes objects begin with it: "+
			"want letters, digits, hyphens and dots, a letter or digit at each end and beside each dot, %d bytes at most",
			workload.MaxNetwork))
	}
	return nil
}

// Limits of the kernel for the MTU of an interface (ETH_MIN_MTU, ETH_MAX_MTU).
const (
	LeastMTU = 68
	MostMTU  = 65535
)

// checkDevice checks the limits of the kernel. Those for queues are from rtnl_create_link.
func checkDevice(c *NetConf) error {
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

func checkDatastore(c *NetConf) error {
	switch {
	case c.DatastoreType != kubernetesDatastore:
		return invalid("datastore_type", c.DatastoreType, `want "kubernetes"`)
	case c.CalicoAPIGroup != crdGroup && c.CalicoAPIGroup != v3Group:
		return invalid("calico_api_group", c.CalicoAPIGroup, fmt.Sprintf("want %q or %q", crdGroup, v3Group))
	}
	return nil
}

func checkWaits(c *NetConf) error {
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

// checkAttachments rejects an incomplete entry: GC would otherwise remove attachments that are in use.
func checkAttachments(valid []types.GCAttachment) error {
	for i, a := range valid {
		if a.ContainerID == "" || a.IfName == "" {
			return &FieldError{
				ErrInvalid, fmt.Sprintf("cni.dev/valid-attachments[%d]", i), "",
				"want containerID and ifname",
			}
		}
	}
	return nil
}
