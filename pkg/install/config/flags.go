// SPDX-License-Identifier: Apache-2.0

package config

import "github.com/spf13/pflag"

// flags are the flags of the command, with the environment variable of each.
type flags struct {
	*pflag.FlagSet
	variable map[string]string
}

func newFlags(c *Config) flags {
	f := flags{pflag.NewFlagSet("install", pflag.ContinueOnError), map[string]string{}}
	f.Usage = func() {}
	f.SortFlags = false
	f.addBinaries(c)
	f.addNetwork(c)
	f.addLog(c)
	f.addServer(c)
	f.addWatch(c)
	f.Bool("version", false, "print the version, and do nothing else")
	return f
}

func (f flags) addBinaries(c *Config) {
	f.text(&c.HostRoot, "host-root", "CNI_HOST_ROOT", "/host",
		"`directory` that contains the mounts of the host's opt/cni/bin, secondary-bin-dir and etc/cni/net.d")
	f.text(&c.BinSource, "bin-source", "CNI_BIN_SOURCE", "/opt/cni/bin", "`directory` of the binaries to install")
	f.StringSliceVar(&c.SkipBinaries, f.env("skip-cni-binaries", "SKIP_CNI_BINARIES"), nil,
		"`names` of binaries not to install, separated by commas [SKIP_CNI_BINARIES]")
	f.boolean(&c.UpdateBinaries, "update-cni-binaries", "UPDATE_CNI_BINARIES", true,
		"replace binaries that the host already has")
	f.boolean(&c.Downgrade, "downgrade", "CNI_DOWNGRADE", true, "at the start, also replace binaries of a newer version")
	f.boolean(&c.Sleep, "sleep", "SLEEP", true, "after installing, wait until stopped")
}

func (f flags) addNetwork(c *Config) {
	f.text(&c.NetDir, "cni-net-dir", "CNI_NET_DIR", "/etc/cni/net.d",
		"`directory` of the network configuration on the host")
	f.text(&c.ConfName, "cni-conf-name", "CNI_CONF_NAME", "10-calico.conflist",
		"`name` of the network configuration file")
	f.text(&c.OldConfName, "cni-old-conf-name", "CNI_OLD_CONF_NAME", "",
		"`name` of a file to remove after the new one is written (default: 10-calico.conflist, or none when chaining)")
	f.text(&c.NetworkConfig, "cni-network-config", "CNI_NETWORK_CONFIG", "",
		"`template` of the network configuration with Calico's placeholders")
	f.text(&c.NetworkConfigFile, "cni-network-config-file", "CNI_NETWORK_CONFIG_FILE", "",
		"`file` with the template; takes precedence over CNI_NETWORK_CONFIG")
	f.text(&c.ChainInto, "chain", "CNI_CHAIN_INTO", "",
		"`name` of a list in the same directory to add the plugin to, instead of writing a separate file")
	f.boolean(&c.Exclusive, "exclusive", "CNI_EXCLUSIVE", false, "move the network configurations of other programs aside")
	f.text(&c.NodeName, "node-name", "KUBERNETES_NODE_NAME", "",
		"`name` of the node in Kubernetes (default: the host's name)")
	f.number(&c.MTU, "cni-mtu", "CNI_MTU", 1500, "MTU of pods in `bytes`; 0 means the MTU in the node agent's file")
	f.boolean(&c.RequireMTUFile, "require-mtu-file", "REQUIRE_MTU_FILE", false,
		"with MTU 0, reject pods until the node agent's file exists")
	f.boolean(&c.AssignIPv4, "assign-ipv4", "CNI_ASSIGN_IPV4", true,
		"assign pods an IPv4 address (built-in configuration)")
	f.boolean(&c.AssignIPv6, "assign-ipv6", "CNI_ASSIGN_IPV6", false,
		"assign pods an IPv6 address (built-in configuration)")
	f.text(&c.DatastoreType, "datastore-type", "DATASTORE_TYPE", KubernetesDatastore,
		"`kind` of datastore; only kubernetes is supported")
	f.text(&c.APIGroup, "calico-api-group", "CALICO_API_GROUP", "",
		"API `group` of Calico's objects: crd.projectcalico.org/v1 or projectcalico.org/v3 (default: the one that the "+
			"API server serves)")
}

func (f flags) addLog(c *Config) {
	f.text(&c.LogLevel, "log-level", "LOG_LEVEL", "info", "`level` of the plugins' log: debug, info, warning or error")
	f.text(&c.LogFilePath, "log-file-path", "LOG_FILE_PATH", "/var/log/calico/cni/cni.log",
		"`file` of the plugins' log on the host")
	f.number(&c.LogFileMaxSize, "log-file-max-size", "LOG_FILE_MAX_SIZE", 100,
		"size in `MB` at which the log is rotated")
	f.number(&c.LogFileMaxAge, "log-file-max-age", "LOG_FILE_MAX_AGE", 30, "`days` to keep rotated logs")
	f.number(&c.LogFileMaxCount, "log-file-max-count", "LOG_FILE_MAX_COUNT", 10, "`number` of rotated logs to keep")
}

func (f flags) addServer(c *Config) {
	f.text(&c.ServiceHost, "kubernetes-service-host", "KUBERNETES_SERVICE_HOST", "",
		"`host` of the API server, as the plugins reach it")
	f.text(&c.ServicePort, "kubernetes-service-port", "KUBERNETES_SERVICE_PORT", "443", "`port` of the API server")
	f.text(&c.ServiceProtocol, "kubernetes-service-protocol", "KUBERNETES_SERVICE_PROTOCOL", "https",
		"`scheme` of the API server: https or http")
	f.boolean(&c.SkipTLSVerify, "skip-tls-verify", "SKIP_TLS_VERIFY", false,
		"let the plugins accept any certificate of the API server")
	f.text(&c.Kubeconfig, "kubeconfig", "KUBECONFIG", "",
		"`file` with the installer's own credentials (default: the pod's service account)")
	f.text(&c.ServiceAccount, "service-account", "CALICO_CNI_SERVICE_ACCOUNT", "calico-cni-plugin",
		"`name` of the plugins' service account")
	f.text(&c.Namespace, "namespace", "CNI_NAMESPACE", "",
		"`namespace` of that service account (default: the pod's own)")
	f.text(&c.ServiceAccountDir, "service-account-dir", "CNI_SERVICE_ACCOUNT_DIR",
		"/var/run/secrets/kubernetes.io/serviceaccount",
		"`directory` with token, ca.crt and namespace")
}

func (f flags) addWatch(c *Config) {
	f.boolean(&c.Watch, "watch", "WATCH", false,
		"after installing, renew the token and restore files that other programs change")
	f.text(&c.TokenRefresh, "token-refresh-interval", "CNI_TOKEN_REFRESH_INTERVAL", "",
		"`duration` after which to renew the token while watching (default: a quarter of its lifetime)")
	f.text(&c.HealthAddr, "health-addr", "HEALTH_ADDR", "",
		"`host:port` that serves GET /readyz and /metrics while watching; empty for none")
	f.boolean(&c.CleanupOnExit, "cleanup-on-exit", "CLEANUP_ON_EXIT", false, "uninstall when stopped while watching")
	f.boolean(&c.NodeFiles, "provide-node-files", "NODE_FILES", false,
		"write nodename and mtu to var/lib/calico, on nodes without a node agent")
	f.boolean(&c.DryRun, "dry-run", "DRY_RUN", false, "print what would change, and change nothing")
	f.StringVarP(&c.Output, f.env("output", "CNI_STATUS_OUTPUT"), "o", "text",
		"`format` of status: text or json [CNI_STATUS_OUTPUT]")
}

func (f flags) text(p *string, flag, variable, value, usage string) {
	f.StringVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) number(p *int, flag, variable string, value int, usage string) {
	f.IntVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) boolean(p *bool, flag, variable string, value bool, usage string) {
	f.BoolVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) env(flag, variable string) string {
	f.variable[flag] = variable
	return flag
}
