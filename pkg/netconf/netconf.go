// Package netconf is the configuration that the plugins read: the CNI network configuration on standard input, with
// Calico's field names and defaults, and the annotations by which a pod or a namespace overrides parts of it.
//
// The same configuration reaches `calico` and `calico-ipam`; the latter also as the IPAM plugin of somebody else's main
// plugin, so that fields of others are tolerated whatever they hold, unless their names are Calico's.
package netconf

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"
)

// Defaults of fields that the configuration leaves out or empty.
const (
	DefaultCNIVersion        = "0.2.0"
	DefaultNodenameFile      = "/var/lib/calico/nodename"
	DefaultIPAMLockFile      = "/var/run/calico/ipam.lock"
	DefaultEndpointStatusDir = "/var/run/calico/endpoint-status"
	DefaultNumQueues         = 1
	DefaultLogLevel          = "info"
	DefaultLogFileMaxSize    = 100
	DefaultLogFileMaxAge     = 30
	DefaultLogFileMaxCount   = 10
)

// CalicoIPAM is the ipam.type of block IPAM, which the plugins serve themselves.
const CalicoIPAM = "calico-ipam"

// NetConf is one network configuration, valid and with its defaults. Values left out of the JSON and their zero value
// mean the same.
type NetConf struct {
	// CNIVersion is the configuration's; an absent one is 0.2.0 here, as with Calico. In which version a result is written,
	// and whether it is one that the plugins speak, is decided before this is read: there an absent one is 0.1.0, as the
	// specification has it.
	CNIVersion string `json:"cniVersion"`
	// Name of the network: part of the IPAM handle.
	Name string `json:"name"`
	Type string `json:"type"`

	// MTU of both ends in bytes; 0 has the caller read the MTU file, which RequireMTUFile makes it insist on.
	MTU            int  `json:"mtu"`
	RequireMTUFile bool `json:"require_mtu_file"`
	// NumQueues is the number of transmit and receive queues of both ends, 1 to 4096.
	NumQueues int `json:"num_queues"`
	// DeviceType is "veth" or "netkit".
	DeviceType string `json:"device_type"`
	// IncludeDefaultRoutes adds the default routes to those of a host-local configuration.
	IncludeDefaultRoutes bool              `json:"include_default_routes"`
	ContainerSettings    ContainerSettings `json:"container_settings"`

	// The node's name is Nodename, else what NodenameFile holds, else Hostname, else the operating system's. Without the
	// file an ADD fails unless NodenameFileOptional.
	Nodename             string `json:"nodename"`
	NodenameFile         string `json:"nodename_file"`
	NodenameFileOptional bool   `json:"nodename_file_optional"`
	Hostname             string `json:"hostname"`

	IPAM IPAM `json:"-"`
	// RawIPAM is the section "ipam" as it came, for the IPAM plugins that IPAM says little of.
	RawIPAM      json.RawMessage `json:"ipam"`
	IPAMLockFile string          `json:"ipam_lock_file"`

	// DatastoreType is "kubernetes", CalicoAPIGroup "crd.projectcalico.org/v1".
	DatastoreType  string     `json:"datastore_type"`
	CalicoAPIGroup string     `json:"calico_api_group"`
	Kubernetes     Kubernetes `json:"kubernetes"`
	Policy         Policy     `json:"policy"`
	// QPS and Burst limit the requests of one command to the API server; without a QPS above 0 there is no limit.
	QPS   float32 `json:"qps"`
	Burst int     `json:"burst"`

	// LogLevel is "debug", "info", "warning" or "error"; Level has it for slog. LogFilePath is empty when the log goes to
	// standard error alone. Sizes are in MB, ages in days.
	LogLevel        string `json:"log_level"`
	LogFilePath     string `json:"log_file_path"`
	LogFileMaxSize  int    `json:"log_file_max_size"`
	LogFileMaxAge   int    `json:"log_file_max_age"`
	LogFileMaxCount int    `json:"log_file_max_count"`

	FeatureControl FeatureControl `json:"feature_control"`
	// ReadinessGates are http and https URLs that must answer before an ADD goes on.
	ReadinessGates []string `json:"readiness_gates"`
	// PolicySetupTimeoutSeconds bounds the wait for the endpoint's file in EndpointStatusDir; 0 does not wait.
	PolicySetupTimeoutSeconds int    `json:"policy_setup_timeout_seconds"`
	EndpointStatusDir         string `json:"endpoint_status_dir"`

	DNS           types.DNS     `json:"dns"`
	RuntimeConfig RuntimeConfig `json:"runtimeConfig"`
	Args          Args          `json:"args"`
	// RawPrevResult is the previous plugin's result as it came, nil when there is none; PrevResult decodes it.
	RawPrevResult json.RawMessage `json:"prevResult"`
	// ValidAttachments are those that a GC shall spare. Nil means that the configuration has no such list; a list that is
	// there and empty is not nil.
	ValidAttachments []types.GCAttachment `json:"cni.dev/valid-attachments"`

	// Warnings are the values that Parse replaced or ignored, for the log.
	Warnings []Warning `json:"-"`
}

// ContainerSettings is what the plugin sets within the pod.
type ContainerSettings struct {
	AllowIPForwarding bool `json:"allow_ip_forwarding"`
}

// Kubernetes is how to reach the API server.
type Kubernetes struct {
	Kubeconfig string `json:"kubeconfig"`
	APIRoot    string `json:"k8s_api_root"`
	NodeName   string `json:"node_name"`
}

// Policy of type "k8s" is what makes pods and namespaces be looked up. The rest are credentials of configurations from
// before kubeconfig files: a token, and the paths of certificates and of a key.
type Policy struct {
	Type                 string `json:"type"`
	APIRoot              string `json:"k8s_api_root"`
	AuthToken            Secret `json:"k8s_auth_token"`
	ClientCertificate    string `json:"k8s_client_certificate"`
	ClientKey            Secret `json:"k8s_client_key"`
	CertificateAuthority string `json:"k8s_certificate_authority"`
}

// FeatureControl are the gates of annotations that an administrator has to allow.
type FeatureControl struct {
	IPAddrsNoIPAM bool `json:"ip_addrs_no_ipam"`
	FloatingIPs   bool `json:"floating_ips"`
}

// RuntimeConfig is what the runtime passes for the capabilities that the configuration declares.
type RuntimeConfig struct {
	DNS RuntimeDNS `json:"dns"`
	IPs []string   `json:"ips"`
	MAC string     `json:"mac"`
}

// RuntimeDNS is the capability "dns".
type RuntimeDNS struct {
	Domain   string   `json:"domain"`
	Servers  []string `json:"servers"`
	Searches []string `json:"searches"`
	Options  []string `json:"options"`
}

// Args is the part of the conventional args that the plugins look at.
type Args struct {
	CNI struct {
		IPs []string `json:"ips"`
	} `json:"cni"`
}

// PodRoutes returns the destinations of the pod's routes through its gateways, each once: those of host-local's configuration, and the default
// routes with them if IncludeDefaultRoutes; nil, which stands for the default routes, when it has none.
func (c *NetConf) PodRoutes() []netip.Prefix {
	if c.IPAM.Routes == nil {
		return nil
	}
	var routes []netip.Prefix
	if c.IncludeDefaultRoutes {
		routes = append(routes, netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	}
	for _, to := range c.IPAM.Routes {
		if !slices.Contains(routes, to) {
			routes = append(routes, to)
		}
	}
	return routes
}

// PolicySetupTimeout returns how long to wait for the endpoint's status file; 0 is not at all.
func (c *NetConf) PolicySetupTimeout() time.Duration {
	return time.Duration(c.PolicySetupTimeoutSeconds) * time.Second
}

// RequestedIPs returns the addresses that the runtime asks for, those of runtimeConfig.ips, else those of args.cni.ips.
// They take precedence over the IP of CNI_ARGS.
//
// Source: the CNI conventions, "Dynamic Plugin specific fields" and "args in network config".
func (c *NetConf) RequestedIPs() []netip.Addr {
	_, ips := c.requestedIPs()
	addrs := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if addr, ok := parseAddr(ip); ok {
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

func (c *NetConf) requestedIPs() (field string, ips []string) {
	if len(c.RuntimeConfig.IPs) > 0 {
		return "runtimeConfig.ips", c.RuntimeConfig.IPs
	}
	return "args.cni.ips", c.Args.CNI.IPs
}

// APIRoot returns the URL of the API server where the configuration has it instead of a kubeconfig.
func (c *NetConf) APIRoot() string { return cmp.Or(c.Kubernetes.APIRoot, c.Policy.APIRoot) }

// NamesAPI reports whether the configuration says how to reach an API server.
func (c *NetConf) NamesAPI() bool { return c.Kubernetes.Kubeconfig != "" || c.APIRoot() != "" }

// KubeconfigPath returns the path of the kubeconfig, or an error that wraps ErrInvalid when the configuration has none.
// Not every command needs one: with another IPAM plugin and outside Kubernetes nobody asks the API server.
func (c *NetConf) KubeconfigPath() (string, error) {
	if c.Kubernetes.Kubeconfig == "" {
		return "", invalid("kubernetes.kubeconfig", "", "want the path of a kubeconfig file; the install container writes one and its path into the configuration")
	}
	return c.Kubernetes.Kubeconfig, nil
}
