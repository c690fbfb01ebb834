// SPDX-License-Identifier: Apache-2.0

package netconf

// ContainerSettings are settings within the pod.
type ContainerSettings struct {
	AllowIPForwarding bool `json:"allow_ip_forwarding"`
}

// Kubernetes says how to reach the API server.
type Kubernetes struct {
	Kubeconfig string `json:"kubeconfig"`
	APIRoot    string `json:"k8s_api_root"`
	NodeName   string `json:"node_name"`
}

// Policy of type "k8s" enables the lookup of pods and namespaces. The other fields are credentials of configurations
// from before kubeconfig files: a token, and the paths of certificates and a key.
type Policy struct {
	Type                 string `json:"type"`
	APIRoot              string `json:"k8s_api_root"`
	AuthToken            Secret `json:"k8s_auth_token"`
	ClientCertificate    string `json:"k8s_client_certificate"`
	ClientKey            Secret `json:"k8s_client_key"`
	CertificateAuthority string `json:"k8s_certificate_authority"`
}

// FeatureControl has the feature gates of annotations. An administrator must enable them.
type FeatureControl struct {
	IPAddrsNoIPAM bool `json:"ip_addrs_no_ipam"`
	FloatingIPs   bool `json:"floating_ips"`
}

// RuntimeConfig is what the runtime passes for the declared capabilities.
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

// Args is the part of the conventional field "args" that the plugins read.
type Args struct {
	CNI struct {
		IPs []string `json:"ips"`
	} `json:"cni"`
}
