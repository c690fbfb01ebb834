package netconf

const (
	kubernetesDatastore = "kubernetes"
	crdGroup            = "crd.projectcalico.org/v1"
	v3Group             = "projectcalico.org/v3"
)

// foreign are fields of Calico's that reach beyond Linux, Kubernetes and the kernel's data plane. They are read to say so,
// for to ignore them would give pods another network than the one asked for.
type foreign struct {
	Mode               string `json:"mode"`
	VXLANMACPrefix     string `json:"vxlan_mac_prefix"`
	VXLANVNI           uint64 `json:"vxlan_vni"`
	SingleNetwork      bool   `json:"windows_use_single_network"`
	DisableDefaultDeny bool   `json:"windows_disable_default_deny_all_policy"`
	LoopbackDSR        bool   `json:"windows_loopback_DSR"`
	DataplaneOptions   struct {
		Type string `json:"type"`
	} `json:"dataplane_options"`
	EtcdEndpoints    string `json:"etcd_endpoints"`
	EtcdAuthority    string `json:"etcd_authority"`
	EtcdDiscoverySRV string `json:"etcd_discovery_srv"`
}

// refuse returns an error that wraps ErrUnsupported when a foreign field is set to something that counts.
func (f foreign) refuse(datastoreType string) error {
	const windows = "only Windows nodes know it: remove it from the configuration of Linux nodes"
	etcd := f.EtcdEndpoints != "" || f.EtcdAuthority != "" || f.EtcdDiscoverySRV != ""
	switch {
	case f.Mode == "vxlan":
		return unsupported("mode", f.Mode, "remove it; whether a pool uses VXLAN is said by its vxlanMode")
	case datastoreType == "etcdv3":
		return unsupported("datastore_type", datastoreType, `only the Kubernetes datastore is supported: want "kubernetes"`)
	case etcd && datastoreType == "":
		// Endpoints may hold a password; which field and why is enough.
		return &FieldError{ErrUnsupported, "etcd_endpoints", "", `only the Kubernetes datastore is supported: remove it, or set datastore_type to "kubernetes"`}
	case f.DataplaneOptions.Type != "" && f.DataplaneOptions.Type != "linux":
		return unsupported("dataplane_options.type", f.DataplaneOptions.Type, `want "linux", or remove it`)
	case f.VXLANMACPrefix != "":
		return unsupported("vxlan_mac_prefix", f.VXLANMACPrefix, windows)
	case f.VXLANVNI != 0:
		return unsupported("vxlan_vni", f.VXLANVNI, windows)
	case f.SingleNetwork:
		return unsupported("windows_use_single_network", true, windows)
	case f.DisableDefaultDeny:
		return unsupported("windows_disable_default_deny_all_policy", true, windows)
	case f.LoopbackDSR:
		return unsupported("windows_loopback_DSR", true, windows)
	}
	return nil
}
