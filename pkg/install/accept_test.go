// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

func TestInstallRefusesWhatThePluginsRefuse(t *testing.T) {
	list := func(plugins string) string {
		return `{"name": "net", "cniVersion": "0.3.1", "plugins": [` + plugins + `]}`
	}
	for _, tt := range []struct {
		name, template string
		want           error
		says           string
	}{
		{
			"value", list(`{"type": "calico", "mtu": 9}`), netconf.ErrInvalid,
			"plugin 1 of the list, calico, would reject every pod: invalid network configuration: mtu: 9",
		},
		{
			"second plugin", list(`{"type": "other"}, {"type": "calico", "datastore_type": "etcdv3"}`), netconf.ErrUnsupported,
			`plugin 2 of the list, calico, would reject every pod: unsupported network configuration: datastore_type: "etcdv3"`,
		},
		{"JSON type", list(`{"type": "calico", "mtu": "1500"}`), netconf.ErrDecode, "mtu: want a whole number"},
		{
			"IPAM", list(`{"type": "calico", "ipam": {"type": "calico-ipam", "ipv4_pools": ["fd00::/64"]}}`),
			netconf.ErrInvalid, "ipam.ipv4_pools[0]",
		},
		{
			"IPAM plugin as a plugin", list(`{"type": "calico-ipam", "mtu": 9}`), netconf.ErrInvalid,
			"plugin 1 of the list, calico-ipam",
		},
		{
			"IPAM plugin of another", list(`{"type": "bridge", "ipam": {"type": "calico-ipam", "assign_ipv4": 1}}`),
			netconf.ErrInvalid, "plugin 1 of the list, bridge",
		},
		{
			"secret of the wrong type", list(`{"type": "calico", "policy": {"k8s_auth_token": ["` + secret + `"]}}`),
			netconf.ErrDecode, "policy.k8s_auth_token",
		},
		{
			"token in the wrong place", list(`{"type": "calico", "device_type": "__SERVICEACCOUNT_TOKEN__"}`),
			netconf.ErrInvalid, "device_type",
		},
		{
			"name that no object can have",
			`{"name": "net_1", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}`, netconf.ErrInvalid,
			`name: "net_1"`,
		},
		{
			"name of another's network",
			`{"name": "net_1", "plugins": [{"type": "macvlan", "ipam": {"type": "calico-ipam"}}]}`, netconf.ErrInvalid,
			`name: "net_1"`,
		},
		{
			"API server that is no URL",
			list(`{"type": "calico", "ipam": {"type": "calico-ipam"}, "policy": {"k8s_api_root": "https://fd00::1:443", ` +
				`"k8s_auth_token": "__SERVICEACCOUNT_TOKEN__"}}`),
			kube.ErrKubeconfig, "write its IPv6 address in brackets",
		},
		{
			"API server without credentials",
			list(`{"type": "calico", "ipam": {"type": "calico-ipam"}, "kubernetes": {"k8s_api_root": ` +
				`"https://__KUBERNETES_SERVICE_HOST__:443"}}`),
			kube.ErrKubeconfig, "the user has no credentials",
		},
		{
			"future version", strings.Replace(list(`{"type": "calico"}`), "0.3.1", "1.2.0", 1), fault.ErrConfig,
			`the plugins do not support cniVersion "1.2.0": want one of 0.1.0`,
		},
		{
			"version that does not exist", strings.Replace(list(`{"type": "calico"}`), "0.3.1", "0.3.2", 1), fault.ErrConfig,
			`cniVersion "0.3.2"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(t)
			h.cfg.NetworkConfig = tt.template
			err := h.install()
			checkConfigFault(t, err, tt.says)
			if !errors.Is(err, tt.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("Run = %v; want %v and no secret", err, tt.want)
			}
			h.checkTree("")
		})
	}
}

// TestTemplateAcceptsEveryFormOfServerAddress uses all forms of KUBERNETES_SERVICE_HOST, and templates with and without
// brackets.
func TestTemplateAcceptsEveryFormOfServerAddress(t *testing.T) {
	for host, want := range map[string]string{
		"10.96.0.1": "https://10.96.0.1:443", "[10.96.0.1]": "https://10.96.0.1:443", "fd00::1": "https://[fd00::1]:443",
		"[fd00::1]": "https://[fd00::1]:443", "api.example.com": "https://api.example.com:443",
	} {
		for _, root := range []string{
			"https://__KUBERNETES_SERVICE_HOST__:__KUBERNETES_SERVICE_PORT__",
			"https://[__KUBERNETES_SERVICE_HOST__]:__KUBERNETES_SERVICE_PORT__",
			"https://__KUBERNETES_SERVICE_HOST__:443",
		} {
			h := newHost(t)
			h.cfg.ServiceHost = host
			h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"},
				"policy": {"k8s_auth_token": "__SERVICEACCOUNT_TOKEN__"},
				"kubernetes": {"k8s_api_root": "` + root + `"}}]}`
			h.mustInstall()
			data, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
			if err != nil || !strings.Contains(string(data), `"k8s_api_root": "`+want+`"`) {
				t.Errorf("host %s, template %s: want %s: %v\n%s", host, root, want, err, data)
			}
			config, err := os.ReadFile(h.path("host/etc/cni/net.d/calico-kubeconfig"))
			if err != nil || !strings.Contains(string(config), "server: "+want+"\n") {
				t.Errorf("host %s: want %s: %v\n%s", host, want, err, config)
			}
		}
	}
}

func TestInstallRefusesAnInvalidSinglePlugin(t *testing.T) {
	h := newHost(t)
	h.cfg.ConfName, h.cfg.NetworkConfig = "10-calico.conf", `{"name": "net", "type": "calico", "mtu": 9}`
	checkConfigFault(t, h.install(), "check 10-calico.conf", "mtu: 9")
	h.checkTree("")
}

func TestInstallAcceptsAnyConfigurationOfOtherPlugins(t *testing.T) {
	h := newHost(t)
	h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
		`"nodename": "__KUBERNETES_NODE_NAME__"}, {"type": "other", "mtu": "9", "mode": "vxlan"}]}`
	h.mustInstall()
	h.checkTree(installed)
}

func TestOldConfigurationMustNotBeTheKubeconfig(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.cfg.OldConfName = "calico-kubeconfig"
	checkConfigFault(t, h.install(), "CNI_OLD_CONF_NAME")
	h.checkTree(installed)
}

func TestHostNameMustBeAValidNodeName(t *testing.T) {
	h := newHost(t)
	h.cfg.NodeName = ""
	for _, name := range []string{"worker_1", "", "a b"} {
		checkConfigFault(t, Run(t.Context(), h.cfg, Deps{
			Tokens: tokens(issue), Hostname: func() (string,
				error,
			) {
				return name, nil
			}, Now: time.Now, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
		}), "KUBERNETES_NODE_NAME is empty")
	}
	h.checkTree("")
}
