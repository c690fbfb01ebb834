// SPDX-License-Identifier: Apache-2.0

// Package netconf defines the configuration that the plugins read: the CNI network configuration on standard input,
// with the field names and defaults of Calico, and the annotations with which a pod or namespace overrides parts of it.
//
// `calico` and `calico-ipam` read the same configuration. `calico-ipam` can also be the IPAM plugin of a main plugin
// other than `calico`. Therefore unknown fields may have any value.
package netconf

import (
	"cmp"
	"encoding/json"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// CalicoIPAM is the ipam.type of block IPAM. The plugins implement it themselves.
const CalicoIPAM = "calico-ipam"

// mainPlugin is the type of the main plugin of Calico, which routes each address by itself.
const mainPlugin = "calico"

// NetConf is one valid network configuration with defaults filled in. An absent field and its zero value are
// equivalent.
type NetConf struct {
	// CNIVersion is the version of the configuration. If it is absent, it is 0.2.0 here, as in Calico. The version of
	// the result, and whether the plugins support it, is determined before this field is read. There an absent version
	// means 0.1.0, as in the specification.
	CNIVersion string `json:"cniVersion"`
	// Name is the name of the network. It is part of the IPAM handle.
	Name string `json:"name"`
	Type string `json:"type"`

	// MTU of both ends in bytes. 0 makes the caller read the MTU file. With RequireMTUFile a missing file is an error.
	MTU            int  `json:"mtu"`
	RequireMTUFile bool `json:"require_mtu_file"`
	// NumQueues is the number of transmit and receive queues of both ends, 1 to 4096.
	NumQueues int `json:"num_queues"`
	// DeviceType is "veth" or "netkit".
	DeviceType string `json:"device_type"`
	// IncludeDefaultRoutes adds the default routes to those of a host-local configuration.
	IncludeDefaultRoutes bool              `json:"include_default_routes"`
	ContainerSettings    ContainerSettings `json:"container_settings"`

	// The node's name is the first of: Nodename, the content of NodenameFile, Hostname, the name of the operating
	// system. If the file is missing, an ADD fails unless NodenameFileOptional is set.
	Nodename             string `json:"nodename"`
	NodenameFile         string `json:"nodename_file"`
	NodenameFileOptional bool   `json:"nodename_file_optional"`
	Hostname             string `json:"hostname"`

	IPAM IPAM `json:"-"`
	// RawIPAM is the undecoded section "ipam", for other IPAM plugins.
	RawIPAM      json.RawMessage `json:"ipam"`
	IPAMLockFile string          `json:"ipam_lock_file"`

	// DatastoreType is "kubernetes"; CalicoAPIGroup is "crd.projectcalico.org/v1" or "projectcalico.org/v3".
	DatastoreType  string     `json:"datastore_type"`
	CalicoAPIGroup string     `json:"calico_api_group"`
	Kubernetes     Kubernetes `json:"kubernetes"`
	Policy         Policy     `json:"policy"`
	// QPS and Burst limit the requests of one command to the API server. QPS 0 means no limit.
	QPS   float32 `json:"qps"`
	Burst int     `json:"burst"`

	// LogLevel is "debug", "info", "warning" or "error"; Level converts it for slog. If LogFilePath is empty, the log
	// goes only to standard error. Sizes are in MB, ages in days.
	LogLevel        string `json:"log_level"`
	LogFilePath     string `json:"log_file_path"`
	LogFileMaxSize  int    `json:"log_file_max_size"`
	LogFileMaxAge   int    `json:"log_file_max_age"`
	LogFileMaxCount int    `json:"log_file_max_count"`

	FeatureControl FeatureControl `json:"feature_control"`
	// ReadinessGates are http and https URLs that must respond before an ADD continues.
	ReadinessGates []string `json:"readiness_gates"`
	// PolicySetupTimeoutSeconds bounds the wait for the endpoint's file in EndpointStatusDir. 0 disables the wait.
	PolicySetupTimeoutSeconds int    `json:"policy_setup_timeout_seconds"`
	EndpointStatusDir         string `json:"endpoint_status_dir"`

	DNS           types.DNS     `json:"dns"`
	RuntimeConfig RuntimeConfig `json:"runtimeConfig"`
	Args          Args          `json:"args"`
	// RawPrevResult is the undecoded result of the previous plugin, nil if there is none. PrevResult decodes it.
	RawPrevResult json.RawMessage `json:"prevResult"`
	// ValidAttachments are the attachments that GC must keep. Nil means that the configuration has no such list. An
	// empty list in the configuration is not nil.
	ValidAttachments []types.GCAttachment `json:"cni.dev/valid-attachments"`

	// Warnings are about values that Parse replaced or ignored. The caller logs them.
	Warnings []Warning `json:"-"`
}

// PodRoutes returns the distinct destinations of the pod's routes through its gateways: those of host-local's
// configuration, plus the default routes if IncludeDefaultRoutes is set. If host-local has no routes, it returns nil,
// which means the default routes.
func (c *NetConf) PodRoutes() []netip.Prefix {
	if c.IPAM.Routes == nil {
		return nil
	}
	var routes []netip.Prefix
	if c.IncludeDefaultRoutes {
		routes = append(routes, netip.PrefixFrom(netip.IPv4Unspecified(), 0),
			netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	for _, to := range c.IPAM.Routes {
		if !slices.Contains(routes, to) {
			routes = append(routes, to)
		}
	}
	return routes
}

// PolicySetupTimeout returns how long to wait for the endpoint's status file. 0 disables the wait.
func (c *NetConf) PolicySetupTimeout() time.Duration {
	return time.Duration(c.PolicySetupTimeoutSeconds) * time.Second
}

// APIRoot returns the URL of the API server if the configuration has one instead of a kubeconfig.
func (c *NetConf) APIRoot() string { return cmp.Or(c.Kubernetes.APIRoot, c.Policy.APIRoot) }

// OtherMainPlugin reports whether the main plugin is another one than `calico`. It configures the addresses with the
// prefix length in the result of IPAM, and programs the routes there.
func (c *NetConf) OtherMainPlugin() bool { return c.Type != "" && c.Type != mainPlugin }

// NamesAPI reports whether the configuration says how to reach an API server.
func (c *NetConf) NamesAPI() bool { return c.Kubernetes.Kubeconfig != "" || c.APIRoot() != "" }

// KubeconfigPath returns the path of the kubeconfig, or an error that wraps ErrInvalid if the configuration has none.
// Only commands that use the API server need it. With another IPAM plugin outside Kubernetes none does.
func (c *NetConf) KubeconfigPath() (string, error) {
	if c.Kubernetes.Kubeconfig == "" {
		return "", invalid("kubernetes.kubeconfig", "",
			"want the path of a kubeconfig file; the install container writes one and its path into the configuration")
	}
	return c.Kubernetes.Kubeconfig, nil
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
