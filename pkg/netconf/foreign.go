// SPDX-License-Identifier: Apache-2.0

package netconf

const (
	kubernetesDatastore = "kubernetes"
	crdGroup            = "crd.projectcalico.org/v1"
	v3Group             = "projectcalico.org/v3"
)

// foreign has fields of Calico for Windows, etcd and other data planes. Parse rejects those that would give pods
// another network than requested, and warns about those without effect on Linux.
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

// refuse returns an error that wraps ErrUnsupported if a foreign field requests another datastore or data plane.
func (f foreign) refuse(datastoreType string) error {
	etcd := f.EtcdEndpoints != "" || f.EtcdAuthority != "" || f.EtcdDiscoverySRV != ""
	switch {
	case datastoreType == "etcdv3":
		return unsupported("datastore_type", datastoreType,
			`only the Kubernetes datastore is supported: want "kubernetes"`)
	case etcd && datastoreType == "":
		// The endpoints may contain a password, so the error omits the value.
		return &FieldError{
			ErrUnsupported, "etcd_endpoints", "",
			`only the Kubernetes datastore is supported: remove it, or set datastore_type to "kubernetes"`,
		}
	case f.DataplaneOptions.Type != "" && f.DataplaneOptions.Type != "linux":
		return unsupported("dataplane_options.type", f.DataplaneOptions.Type, `want "linux", or remove it`)
	}
	return nil
}

// warn adds a warning for each field that has no effect on a Linux node. Calico ignores them as well.
func (f foreign) warn(w *warnings) {
	const windows = "only Windows nodes use this field; ignoring it, remove it from the configuration of Linux nodes"
	if f.Mode == "vxlan" {
		w.add("mode", f.Mode, "VXLAN is enabled by the vxlanMode of an IPPool; ignoring this field, remove it")
	}
	if f.VXLANMACPrefix != "" {
		w.add("vxlan_mac_prefix", f.VXLANMACPrefix, windows)
	}
	if f.VXLANVNI != 0 {
		w.add("vxlan_vni", f.VXLANVNI, windows)
	}
	if f.SingleNetwork {
		w.add("windows_use_single_network", true, windows)
	}
	if f.DisableDefaultDeny {
		w.add("windows_disable_default_deny_all_policy", true, windows)
	}
	if f.LoopbackDSR {
		w.add("windows_loopback_DSR", true, windows)
	}
}
