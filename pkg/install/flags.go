package install

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"
)

// about is the head of the help. The exit codes are those of ExitCode.
const about = `install puts the CNI plugins on a node: binaries, then kubeconfig, then network configuration.

Usage:
  install [flags]            installs; with --watch, keeps it so
  install uninstall [flags]  removes what was installed, and nothing else
  install status [flags]     tells what is installed, and what is not as it should be
  install version            prints the version, as --version does

Every flag has an environment variable, named in brackets; the flag wins, and an empty variable counts as unset. Files
that are as they should be are not written. After installing it waits to be stopped, unless SLEEP is false, which is
what an init container wants.

Exit codes:
  0  installed, uninstalled, or all as it should be; or stopped while waiting afterwards
  1  a step failed; a restart takes it up where it stopped
  2  a flag, an environment variable or the template of the network configuration is wrong
  3  status, --dry-run: something is not as it should be; uninstall: something was left, and is named

Flags:
`

// Usage returns the help text.
func Usage() string {
	return about + newFlags(&Config{}).FlagUsagesWrapped(120)
}

// Parse returns the configuration of the command line and the environment. An error wraps pflag.ErrHelp when the help
// was asked for, and else ErrConfig; the latter names every variable that is wrong. Parse checks form; Validate, meaning.
func Parse(args []string, getenv func(string) string) (Config, error) {
	var cfg Config
	f := newFlags(&cfg)
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return Config{}, err
	} else if err != nil {
		return Config{}, fmt.Errorf("%w: %w; see install --help", ErrConfig, err)
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

// setVerb takes what is left of the command line: a verb, or nothing.
func (c *Config) setVerb(args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.Verb = Verb(args[0]); len(args) > 1 || !slices.Contains([]Verb{VerbUninstall, VerbStatus, VerbVersion}, c.Verb) {
		return fmt.Errorf("%w: unexpected argument %q; see install --help", ErrConfig, args[len(args)-1])
	}
	return nil
}

// flags are the command's flags and the environment variable of each.
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
	f.text(&c.HostRoot, "host-root", "CNI_HOST_ROOT", "/host", "`directory` below which opt/cni/bin, secondary-bin-dir and etc/cni/net.d of the host are mounted")
	f.text(&c.BinSource, "bin-source", "CNI_BIN_SOURCE", "/opt/cni/bin", "`directory` of the binaries to install")
	f.StringSliceVar(&c.SkipBinaries, f.env("skip-cni-binaries", "SKIP_CNI_BINARIES"), nil, "`names` of binaries not to install, with commas between [SKIP_CNI_BINARIES]")
	f.truth(&c.UpdateBinaries, "update-cni-binaries", "UPDATE_CNI_BINARIES", true, "replace binaries that the host has already")
	f.truth(&c.Downgrade, "downgrade", "CNI_DOWNGRADE", true, "replace binaries of a newer version, too, at the start")
	f.truth(&c.Sleep, "sleep", "SLEEP", true, "wait to be stopped after installing")
}

func (f flags) network(c *Config) {
	f.text(&c.NetDir, "cni-net-dir", "CNI_NET_DIR", "/etc/cni/net.d", "`directory` of the network configuration as the host has it")
	f.text(&c.ConfName, "cni-conf-name", "CNI_CONF_NAME", "10-calico.conflist", "`name` of the network configuration file")
	f.text(&c.OldConfName, "cni-old-conf-name", "CNI_OLD_CONF_NAME", "", "`name` of a file to remove once the new one is in place")
	f.text(&c.NetworkConfig, "cni-network-config", "CNI_NETWORK_CONFIG", "", "`template` of the network configuration, with Calico's placeholders")
	f.text(&c.NetworkConfigFile, "cni-network-config-file", "CNI_NETWORK_CONFIG_FILE", "", "`file` with the template; goes before the template itself")
	f.text(&c.ChainInto, "chain", "CNI_CHAIN_INTO", "", "`name` of a list in the same directory to add our plugin to, in place of writing a file of our own")
	f.truth(&c.Exclusive, "exclusive", "CNI_EXCLUSIVE", false, "move the network configurations of others aside")
	f.text(&c.NodeName, "node-name", "KUBERNETES_NODE_NAME", "", "`name` of the node in Kubernetes (default: the host's name)")
	f.number(&c.MTU, "cni-mtu", "CNI_MTU", 1500, "MTU of pods in `bytes`; 0 takes it from the node agent's file")
	f.truth(&c.RequireMTUFile, "require-mtu-file", "REQUIRE_MTU_FILE", false, "with MTU 0, refuse pods until the node agent's file is there")
	f.truth(&c.AssignIPv4, "assign-ipv4", "CNI_ASSIGN_IPV4", true, "give pods an IPv4 address (built-in configuration)")
	f.truth(&c.AssignIPv6, "assign-ipv6", "CNI_ASSIGN_IPV6", false, "give pods an IPv6 address (built-in configuration)")
	f.text(&c.DatastoreType, "datastore-type", "DATASTORE_TYPE", kubernetesDatastore, "`kind` of datastore; kubernetes is the one supported")
	f.text(&c.APIGroup, "calico-api-group", "CALICO_API_GROUP", crdGroup, "API `group` of Calico's objects; the default is the one supported")
}

func (f flags) log(c *Config) {
	f.text(&c.LogLevel, "log-level", "LOG_LEVEL", "info", "`level` of the plugins' log: debug, info, warning or error")
	f.text(&c.LogFilePath, "log-file-path", "LOG_FILE_PATH", "/var/log/calico/cni/cni.log", "`file` of the plugins' log on the host")
	f.number(&c.LogFileMaxSize, "log-file-max-size", "LOG_FILE_MAX_SIZE", 100, "size in `MB` at which the log is rotated")
	f.number(&c.LogFileMaxAge, "log-file-max-age", "LOG_FILE_MAX_AGE", 30, "`days` to keep rotated logs")
	f.number(&c.LogFileMaxCount, "log-file-max-count", "LOG_FILE_MAX_COUNT", 10, "`number` of rotated logs to keep")
}

func (f flags) server(c *Config) {
	f.text(&c.ServiceHost, "kubernetes-service-host", "KUBERNETES_SERVICE_HOST", "", "`host` of the API server, for the plugins")
	f.text(&c.ServicePort, "kubernetes-service-port", "KUBERNETES_SERVICE_PORT", "443", "`port` of the API server")
	f.text(&c.ServiceProtocol, "kubernetes-service-protocol", "KUBERNETES_SERVICE_PROTOCOL", "https", "`scheme` of the API server: https or http")
	f.truth(&c.SkipTLSVerify, "skip-tls-verify", "SKIP_TLS_VERIFY", false, "have the plugins take any certificate of the API server")
	f.text(&c.Kubeconfig, "kubeconfig", "KUBECONFIG", "", "`file` with the installer's own credentials (default: the pod's service account)")
	f.text(&c.ServiceAccount, "service-account", "CALICO_CNI_SERVICE_ACCOUNT", "calico-cni-plugin", "`name` of the service account that the plugins act as")
	f.text(&c.Namespace, "namespace", "CNI_NAMESPACE", "", "`namespace` of that service account (default: the pod's own)")
	f.text(&c.ServiceAccountDir, "service-account-dir", "CNI_SERVICE_ACCOUNT_DIR", "/var/run/secrets/kubernetes.io/serviceaccount", "`directory` with ca.crt and namespace")
}

func (f flags) watch(c *Config) {
	f.truth(&c.Watch, "watch", "WATCH", false, "after installing, renew the token, and repair what somebody changes")
	f.text(&c.TokenRefresh, "token-refresh-interval", "CNI_TOKEN_REFRESH_INTERVAL", "", "`duration` after which to renew the token while watching (default: a quarter of its life)")
	f.text(&c.HealthAddr, "health-addr", "HEALTH_ADDR", "", "`host:port` that answers GET /readyz and /metrics while watching; empty for none")
	f.truth(&c.CleanupOnExit, "cleanup-on-exit", "CLEANUP_ON_EXIT", false, "uninstall when stopped while watching")
	f.truth(&c.NodeFiles, "provide-node-files", "NODE_FILES", false, "provide nodename and mtu in var/lib/calico, where no node agent does")
	f.truth(&c.DryRun, "dry-run", "DRY_RUN", false, "print what would change, and change nothing")
	f.StringVarP(&c.Output, f.env("output", "CNI_STATUS_OUTPUT"), "o", "text", "`format` of status: text or json [CNI_STATUS_OUTPUT]")
}

func (f flags) text(p *string, flag, variable, value, usage string) {
	f.StringVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) number(p *int, flag, variable string, value int, usage string) {
	f.IntVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) truth(p *bool, flag, variable string, value bool, usage string) {
	f.BoolVar(p, f.env(flag, variable), value, usage+" ["+variable+"]")
}

func (f flags) env(flag, variable string) string {
	f.variable[flag] = variable
	return flag
}

// fromEnv sets the flags that the command line did not.
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

// wanted describes the values that a type of flag takes.
var wanted = map[string]string{
	"bool": "true or false", "int": "a whole number", "stringSlice": "names with commas between",
}
