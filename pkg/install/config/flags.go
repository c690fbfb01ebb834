// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"calico-cni/pkg/install/fault"
)

// about is the head of the help. The exit codes are those of install.ExitCode.
const about = `install puts the CNI plugins on a node: binaries, then kubeconfig, then network configuration.

Usage:
  install [flags]            installs; with --watch, also repairs changes and renews the token until it is stopped
  install uninstall [flags]  removes what was installed, and nothing else
  install status [flags]     shows what is installed, and what differs from the configuration
  install version            prints the version, as --version does

Every flag has an environment variable, named in brackets. The flag wins; an empty variable counts as unset. Files that
are up to date are not written. After installing, install waits until it is stopped. In an init container, set SLEEP to
false.

Exit codes:
  0  installed, uninstalled, or everything is up to date; or stopped after the installation
  1  a step failed; a restart continues the installation
  2  a flag, an environment variable or the template of the network configuration is invalid
  3  status, --dry-run: something differs from the configuration; uninstall: something was left, and is named

Flags:
`

// Usage returns the help text.
func Usage() string {
	return about + newFlags(&Config{}).FlagUsagesWrapped(120)
}

// Parse returns the configuration of the command line and the environment. It checks the form of values; Validate
// checks their meaning. An error wraps pflag.ErrHelp if help was requested, else fault.ErrConfig. It names every
// malformed variable.
func Parse(args []string, getenv func(string) string) (Config, error) {
	var cfg Config
	f := newFlags(&cfg)
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return Config{}, err
	} else if err != nil {
		return Config{}, fmt.Errorf("%w: %w; see install --help", fault.ErrConfig, err)
	}
	if err := cfg.setVerb(f.Args()); err != nil {
		return Config{}, err
	}
	if version, err := f.GetBool("version"); cfg.Verb == VerbVersion || err == nil && version {
		return Config{Verb: VerbVersion}, nil
	}
	if err := f.fromEnv(getenv); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// setVerb sets the verb from the arguments that are not flags.
func (c *Config) setVerb(args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.Verb = Verb(args[0])
	if len(args) > 1 || !slices.Contains([]Verb{VerbUninstall, VerbStatus, VerbVersion}, c.Verb) {
		return fmt.Errorf("%w: unexpected argument %q; see install --help", fault.ErrConfig, args[len(args)-1])
	}
	return nil
}

// flags are the flags of the command, with the environment variable of each.
type flags struct {
	*pflag.FlagSet
	variable map[string]string
}

func newFlags(c *Config) flags {
	f := flags{pflag.NewFlagSet("install", pflag.ContinueOnError), map[string]string{}}
	f.Usage = func() {}
	f.SortFlags = false
	f.binaries(c)
	f.network(c)
	f.log(c)
	f.server(c)
	f.watch(c)
	f.Bool("version", false, "print the version, and do nothing else")
	return f
}

func (f flags) binaries(c *Config) {
	f.text(&c.HostRoot, "host-root", "CNI_HOST_ROOT", "/host",
		"`directory` below which opt/cni/bin, secondary-bin-dir and etc/cni/net.d of the host are mounted")
	f.text(&c.BinSource, "bin-source", "CNI_BIN_SOURCE", "/opt/cni/bin", "`directory` of the binaries to install")
	f.StringSliceVar(&c.SkipBinaries, f.env("skip-cni-binaries", "SKIP_CNI_BINARIES"), nil,
		"`names` of binaries not to install, with commas between [SKIP_CNI_BINARIES]")
	f.boolean(&c.UpdateBinaries, "update-cni-binaries", "UPDATE_CNI_BINARIES", true,
		"replace binaries that the host has already")
	f.boolean(&c.Downgrade, "downgrade", "CNI_DOWNGRADE", true, "replace binaries of a newer version, too, at the start")
	f.boolean(&c.Sleep, "sleep", "SLEEP", true, "wait to be stopped after installing")
}

func (f flags) network(c *Config) {
	f.text(&c.NetDir, "cni-net-dir", "CNI_NET_DIR", "/etc/cni/net.d",
		"`directory` of the network configuration as the host has it")
	f.text(&c.ConfName, "cni-conf-name", "CNI_CONF_NAME", "10-calico.conflist",
		"`name` of the network configuration file")
	f.text(&c.OldConfName, "cni-old-conf-name", "CNI_OLD_CONF_NAME", "",
		"`name` of a file to remove once the new one is in place")
	f.text(&c.NetworkConfig, "cni-network-config", "CNI_NETWORK_CONFIG", "",
		"`template` of the network configuration, with Calico's placeholders")
	f.text(&c.NetworkConfigFile, "cni-network-config-file", "CNI_NETWORK_CONFIG_FILE", "",
		"`file` with the template; goes before the template itself")
	f.text(&c.ChainInto, "chain", "CNI_CHAIN_INTO", "",
		"`name` of a list in the same directory to add our plugin to, in place of writing a file of our own")
	f.boolean(&c.Exclusive, "exclusive", "CNI_EXCLUSIVE", false, "move the network configurations of others aside")
	f.text(&c.NodeName, "node-name", "KUBERNETES_NODE_NAME", "",
		"`name` of the node in Kubernetes (default: the host's name)")
	f.number(&c.MTU, "cni-mtu", "CNI_MTU", 1500, "MTU of pods in `bytes`; 0 takes it from the node agent's file")
	f.boolean(&c.RequireMTUFile, "require-mtu-file", "REQUIRE_MTU_FILE", false,
		"with MTU 0, refuse pods until the node agent's file is there")
	f.boolean(&c.AssignIPv4, "assign-ipv4", "CNI_ASSIGN_IPV4", true, "give pods an IPv4 address (built-in configuration)")
	f.boolean(&c.AssignIPv6, "assign-ipv6", "CNI_ASSIGN_IPV6", false, "give pods an IPv6 address (built-in configuration)")
	f.text(&c.DatastoreType, "datastore-type", "DATASTORE_TYPE", KubernetesDatastore,
		"`kind` of datastore; kubernetes is the one supported")
	f.text(&c.APIGroup, "calico-api-group", "CALICO_API_GROUP", CRDGroup,
		"API `group` of Calico's objects; the default is the one supported")
}

func (f flags) log(c *Config) {
	f.text(&c.LogLevel, "log-level", "LOG_LEVEL", "info", "`level` of the plugins' log: debug, info, warning or error")
	f.text(&c.LogFilePath, "log-file-path", "LOG_FILE_PATH", "/var/log/calico/cni/cni.log",
		"`file` of the plugins' log on the host")
	f.number(&c.LogFileMaxSize, "log-file-max-size", "LOG_FILE_MAX_SIZE", 100,
		"size in `MB` at which the log is rotated")
	f.number(&c.LogFileMaxAge, "log-file-max-age", "LOG_FILE_MAX_AGE", 30, "`days` to keep rotated logs")
	f.number(&c.LogFileMaxCount, "log-file-max-count", "LOG_FILE_MAX_COUNT", 10, "`number` of rotated logs to keep")
}

func (f flags) server(c *Config) {
	f.text(&c.ServiceHost, "kubernetes-service-host", "KUBERNETES_SERVICE_HOST", "",
		"`host` of the API server, for the plugins")
	f.text(&c.ServicePort, "kubernetes-service-port", "KUBERNETES_SERVICE_PORT", "443", "`port` of the API server")
	f.text(&c.ServiceProtocol, "kubernetes-service-protocol", "KUBERNETES_SERVICE_PROTOCOL", "https",
		"`scheme` of the API server: https or http")
	f.boolean(&c.SkipTLSVerify, "skip-tls-verify", "SKIP_TLS_VERIFY", false,
		"have the plugins take any certificate of the API server")
	f.text(&c.Kubeconfig, "kubeconfig", "KUBECONFIG", "",
		"`file` with the installer's own credentials (default: the pod's service account)")
	f.text(&c.ServiceAccount, "service-account", "CALICO_CNI_SERVICE_ACCOUNT", "calico-cni-plugin",
		"`name` of the service account that the plugins act as")
	f.text(&c.Namespace, "namespace", "CNI_NAMESPACE", "",
		"`namespace` of that service account (default: the pod's own)")
	f.text(&c.ServiceAccountDir, "service-account-dir", "CNI_SERVICE_ACCOUNT_DIR",
		"/var/run/secrets/kubernetes.io/serviceaccount",
		"`directory` with ca.crt and namespace")
}

func (f flags) watch(c *Config) {
	f.boolean(&c.Watch, "watch", "WATCH", false,
		"after the installation, renew the token and restore files that other programs change")
	f.text(&c.TokenRefresh, "token-refresh-interval", "CNI_TOKEN_REFRESH_INTERVAL", "",
		"`duration` after which to renew the token while watching (default: a quarter of its life)")
	f.text(&c.HealthAddr, "health-addr", "HEALTH_ADDR", "",
		"`host:port` that answers GET /readyz and /metrics while watching; empty for none")
	f.boolean(&c.CleanupOnExit, "cleanup-on-exit", "CLEANUP_ON_EXIT", false, "uninstall when stopped while watching")
	f.boolean(&c.NodeFiles, "provide-node-files", "NODE_FILES", false,
		"provide nodename and mtu in var/lib/calico, where no node agent does")
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

// fromEnv sets the flags that the command line does not set.
func (f flags) fromEnv(getenv func(string) string) error {
	var faults []error
	f.VisitAll(func(flag *pflag.Flag) {
		variable, ok := f.variable[flag.Name]
		if flag.Changed || !ok || getenv(variable) == "" {
			return
		}
		value := getenv(variable)
		if err := flag.Value.Set(value); err != nil {
			faults = append(faults, fmt.Errorf("%s %q: want %s", variable, value, wanted[flag.Value.Type()]))
		}
	})
	return invalid(faults...)
}

// wanted describes the valid values of a type of flag.
var wanted = map[string]string{
	"bool": "true or false", "int": "a whole number", "stringSlice": "names with commas between",
}
