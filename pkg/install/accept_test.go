package install

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/netconf"
)

func TestWhatThePluginsWouldRefuseIsNotInstalled(t *testing.T) {
	list := func(plugins string) string {
		return `{"name": "net", "cniVersion": "0.3.1", "plugins": [` + plugins + `]}`
	}
	for _, tt := range []struct {
		name, template string
		want           error
		says           string
	}{
		{"value", list(`{"type": "calico", "mtu": 9}`), netconf.ErrInvalid, "plugin 1 of the list, calico, would refuse every pod: invalid network configuration: mtu: 9"},
		{"second plugin", list(`{"type": "other"}, {"type": "calico", "datastore_type": "etcdv3"}`), netconf.ErrUnsupported, `plugin 2 of the list, calico, would refuse every pod: unsupported network configuration: datastore_type: "etcdv3"`},
		{"JSON type", list(`{"type": "calico", "mtu": "1500"}`), netconf.ErrDecode, "mtu: want a whole number"},
		{"IPAM", list(`{"type": "calico", "ipam": {"type": "calico-ipam", "ipv4_pools": ["fd00::/64"]}}`), netconf.ErrInvalid, "ipam.ipv4_pools[0]"},
		{"IPAM plugin as a plugin", list(`{"type": "calico-ipam", "mtu": 9}`), netconf.ErrInvalid, "plugin 1 of the list, calico-ipam"},
		{"IPAM plugin of another", list(`{"type": "bridge", "ipam": {"type": "calico-ipam", "assign_ipv4": 1}}`), netconf.ErrInvalid, "plugin 1 of the list, bridge"},
		{"secret of the wrong type", list(`{"type": "calico", "policy": {"k8s_auth_token": ["` + secret + `"]}}`), netconf.ErrDecode, "policy.k8s_auth_token"},
		{"token in the wrong place", list(`{"type": "calico", "device_type": "__SERVICEACCOUNT_TOKEN__"}`), netconf.ErrInvalid, "device_type"},
		{"name that no object can have", `{"name": "net_1", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}`, netconf.ErrInvalid, `name: "net_1"`},
		{"name of another's network", `{"name": "net_1", "plugins": [{"type": "macvlan", "ipam": {"type": "calico-ipam"}}]}`, netconf.ErrInvalid, `name: "net_1"`},
		{"version to come", strings.Replace(list(`{"type": "calico"}`), "0.3.1", "1.2.0", 1), ErrConfig, `cniVersion "1.2.0" is not one that the plugins speak: want one of 0.1.0`},
		{"version that never was", strings.Replace(list(`{"type": "calico"}`), "0.3.1", "0.3.2", 1), ErrConfig, `cniVersion "0.3.2"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.cfg.NetworkConfig = tt.template
			err := h.install()
			checkFaults(t, err, tt.says)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("Run = %v; want %v and no secret", err, tt.want)
			}
			h.checkTree("")
		})
	}
}

func TestASinglePluginThatWouldRefuseIsNotInstalled(t *testing.T) {
	h := newHost(t)
	h.cfg.ConfName, h.cfg.NetworkConfig = "10-calico.conf", `{"name": "net", "type": "calico", "mtu": 9}`
	checkFaults(t, h.install(), "check 10-calico.conf", "mtu: 9")
	h.checkTree("")
}

func TestPluginsOfOthersAreNotJudged(t *testing.T) {
	h := newHost(t)
	h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, "nodename": "__KUBERNETES_NODE_NAME__"}, {"type": "other", "mtu": "9", "mode": "vxlan"}]}`
	h.mustInstall()
	h.checkTree(installed)
}

func TestTheKubeconfigIsNeverTheOldConfiguration(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.cfg.OldConfName = "calico-kubeconfig"
	checkFaults(t, h.install(), "CNI_OLD_CONF_NAME")
	h.checkTree(installed)
}

func TestTheHostsNameHasToBeANodesName(t *testing.T) {
	h := newHost(t)
	h.cfg.NodeName = ""
	for _, name := range []string{"worker_1", "", "a b"} {
		checkFaults(t, Run(t.Context(), h.cfg, Deps{
			Tokens: tokens(issue), Hostname: func() (string, error) { return name, nil }, Now: time.Now, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		}), "KUBERNETES_NODE_NAME is empty")
	}
	h.checkTree("")
}
