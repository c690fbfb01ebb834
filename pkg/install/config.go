package install

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/trouble"
	"calico-cni/pkg/netconf"
)

const (
	kubernetesDatastore = "kubernetes"
	crdGroup            = "crd.projectcalico.org/v1"
)

// Verb is what to do.
type Verb string

// The verbs. None means to install.
const (
	VerbInstall   Verb = ""
	VerbUninstall Verb = "uninstall"
	VerbStatus    Verb = "status"
	VerbVersion   Verb = "version"
)

// Config is what the operator decides. Parse fills it from flags and environment.
type Config struct {
	Verb Verb
	// DryRun tells what would be done, and does nothing.
	DryRun bool
	// Output is how status prints: "text" or "json".
	Output string

	// HostRoot is where the host's directories are mounted: opt/cni/bin, secondary-bin-dir and etc/cni/net.d below it.
	HostRoot string
	// BinSource is the directory of the binaries to install; SkipBinaries are names in it to leave out.
	// UpdateBinaries replaces those that the host has already. Downgrade replaces those of a newer version, too, at the start.
	BinSource      string
	SkipBinaries   []string
	UpdateBinaries bool
	Downgrade      bool

	// NetDir is the configuration directory as the host has it, for paths within the files; it is written through the
	// mount below HostRoot. OldConfName is removed once ConfName is in place.
	NetDir      string
	ConfName    string
	OldConfName string
	// NetworkConfig is a template with Calico's placeholders, NetworkConfigFile the path of one, which goes first. With
	// neither the configuration is conflist's own, from the fields below.
	NetworkConfig     string
	NetworkConfigFile string
	// ChainInto is the list in NetDir that our plugin is added to, in place of writing ConfName. Exclusive moves all
	// configurations but ours aside.
	ChainInto string
	Exclusive bool

	// NodeName is the node's name in Kubernetes; empty takes the host's name, in lower case.
	NodeName string
	// MTU in bytes; 0 has the plugin take it from the file that the node agent writes.
	MTU                    int
	RequireMTUFile         bool
	AssignIPv4, AssignIPv6 bool
	// LogLevel and the rest are for the plugins' log; the size in MB, the age in days.
	LogLevel        string
	LogFilePath     string
	LogFileMaxSize  int
	LogFileMaxAge   int
	LogFileMaxCount int
	// DatastoreType and APIGroup have one value that is supported; empty means that.
	DatastoreType string
	APIGroup      string

	// The API server as the plugins reach it. SkipTLSVerify has them take any certificate.
	ServiceHost     string
	ServicePort     string
	ServiceProtocol string
	SkipTLSVerify   bool
	// Kubeconfig is the file with the installer's own credentials; empty takes the pod's service account.
	Kubeconfig string
	// ServiceAccount is whom the plugins act as, in Namespace, which is the pod's own when empty.
	ServiceAccount string
	Namespace      string
	// TokenRefresh is how long to use a token while watching: a duration, or seconds; empty is a quarter of its life.
	TokenRefresh string
	// ServiceAccountDir has ca.crt and namespace, as Kubernetes mounts them into pods.
	ServiceAccountDir string

	// Sleep keeps Run waiting after it has installed, for a container that is not an init container.
	Sleep bool
	// Watch keeps things as Run installed them, until it is stopped.
	Watch bool
	// HealthAddr is the host:port at which a watching process tells whether it is ready; empty tells nobody.
	HealthAddr string
	// CleanupOnExit uninstalls when a watching process is stopped.
	CleanupOnExit bool
	// NodeFiles also provides the files that a node agent leaves in var/lib/calico below HostRoot: nodename and mtu.
	NodeFiles bool
}

// Validate returns all faults at once, each with the variable's name, as an error that wraps ErrConfig.
// What only an installation takes is not looked at for other verbs.
func (c Config) Validate() error {
	if c.Verb != VerbInstall {
		return invalid(c.checkPaths(), c.checkNames(), c.checkOutput())
	}
	return invalid(
		c.checkPaths(), c.checkNames(), c.checkServer(), c.checkPlugin(), c.checkWatch(),
	)
}

func (c Config) checkOutput() error {
	if c.Output != "" && c.Output != "text" && c.Output != "json" {
		return fmt.Errorf("--output %q: want text or json", c.Output)
	}
	return nil
}

func (c Config) checkWatch() error {
	var address, cleanup error
	if c.HealthAddr != "" {
		_, port, err := net.SplitHostPort(c.HealthAddr)
		if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil {
			address = fmt.Errorf("HEALTH_ADDR %q: want host:port, such as 127.0.0.1:9097", c.HealthAddr)
		}
	}
	if c.CleanupOnExit && !c.Watch {
		cleanup = errors.New("CLEANUP_ON_EXIT is true and WATCH is not: want both, or uninstall by install uninstall")
	}
	_, refresh := c.tokenRefresh()
	return errors.Join(address, cleanup, refresh)
}

// tokenRefresh returns how long to use a token, 0 when its life decides.
func (c Config) tokenRefresh() (time.Duration, error) {
	if c.TokenRefresh == "" {
		return 0, nil
	}
	after, err := time.ParseDuration(c.TokenRefresh)
	if seconds, e := strconv.Atoi(c.TokenRefresh); e == nil {
		after, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || after < 0 || after > 0 && after < time.Second {
		return 0, fmt.Errorf("CNI_TOKEN_REFRESH_INTERVAL %q: want a duration such as 6h, or seconds, of 1s at least", c.TokenRefresh)
	}
	return after, nil
}

func (c Config) checkPaths() error {
	return errors.Join(
		absolute("CNI_HOST_ROOT", c.HostRoot),
		absolute("CNI_BIN_SOURCE", c.BinSource),
		absolute("CNI_NET_DIR", c.NetDir),
		absolute("CNI_SERVICE_ACCOUNT_DIR", c.ServiceAccountDir),
	)
}

func (c Config) checkNames() error {
	var old, node, account, chain error
	if c.ChainInto != "" {
		chain = fileName("CNI_CHAIN_INTO", c.ChainInto)
		if chain == nil && filepath.Ext(c.ChainInto) != ".conflist" {
			chain = fmt.Errorf("CNI_CHAIN_INTO %q: want a list of plugins, a name that ends in .conflist", c.ChainInto)
		}
	}
	if c.OldConfName != "" {
		old = fileName("CNI_OLD_CONF_NAME", c.OldConfName)
	}
	if c.NodeName != "" {
		node = subdomain("KUBERNETES_NODE_NAME", c.NodeName)
	}
	if c.ServiceAccount == "" || strings.ContainsAny(c.ServiceAccount, "/ ") {
		account = fmt.Errorf("CALICO_CNI_SERVICE_ACCOUNT %q: want the name of a service account", c.ServiceAccount)
	}
	return errors.Join(c.checkConfName(), old, node, account, chain)
}

func (c Config) checkConfName() error {
	if err := fileName("CNI_CONF_NAME", c.ConfName); err != nil {
		return err
	}
	ext := filepath.Ext(c.ConfName)
	switch {
	case strings.HasPrefix(c.ConfName, "."):
		return fmt.Errorf("CNI_CONF_NAME %q: want a name that does not start with a dot, such as 10-calico.conflist", c.ConfName)
	case ext != ".conflist" && ext != ".conf" && ext != ".json":
		return fmt.Errorf("CNI_CONF_NAME %q: want a name that ends in .conflist, or no runtime reads it", c.ConfName)
	}
	return nil
}

func (c Config) checkServer() error {
	var host, port, protocol error
	if c.ServiceHost == "" {
		host = errors.New("KUBERNETES_SERVICE_HOST is empty: want the address of the API server; Kubernetes sets it in every pod")
	} else if !isHost(c.ServiceHost) {
		host = fmt.Errorf("KUBERNETES_SERVICE_HOST %q: want a host name or an address, without scheme, port and path", c.ServiceHost)
	}
	if n, err := strconv.ParseUint(c.ServicePort, 10, 16); err != nil || n == 0 {
		port = fmt.Errorf("KUBERNETES_SERVICE_PORT %q: want a port, 1 to 65535", c.ServicePort)
	}
	if c.ServiceProtocol != "https" && c.ServiceProtocol != "http" {
		protocol = fmt.Errorf("KUBERNETES_SERVICE_PROTOCOL %q: want https or http", c.ServiceProtocol)
	}
	return errors.Join(host, port, protocol)
}

// hostName is what a host may be called: letters, digits and any of _.-, as in DNS names.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?$`)

// isHost says that a text can stand before a port in a URL. An address may have brackets; a zone means nothing on another node.
func isHost(text string) bool {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return ok && err == nil && addr.Zone() == ""
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.Zone() == ""
	}
	return hostName.MatchString(text)
}

func (c Config) checkPlugin() error {
	var mtu, families, datastore, group error
	switch {
	case c.MTU != 0 && (c.MTU < netconf.LeastMTU || c.MTU > netconf.MostMTU):
		mtu = fmt.Errorf("CNI_MTU %d: want 68 to 65535, or 0 to take it from the file that the node agent writes", c.MTU)
	case c.MTU != 0 && c.MTU < leastIPv6MTU && c.AssignIPv6:
		mtu = fmt.Errorf("CNI_MTU %d: IPv6 needs %d at least; raise it, or set CNI_ASSIGN_IPV6 to false", c.MTU, leastIPv6MTU)
	}
	if !c.AssignIPv4 && !c.AssignIPv6 {
		families = errors.New("CNI_ASSIGN_IPV4 and CNI_ASSIGN_IPV6 are both false: want at least one address family")
	}
	if c.DatastoreType != "" && c.DatastoreType != kubernetesDatastore {
		datastore = fmt.Errorf("DATASTORE_TYPE %q: only the Kubernetes datastore is supported: want %q", c.DatastoreType, kubernetesDatastore)
	}
	if c.APIGroup != "" && c.APIGroup != crdGroup {
		group = fmt.Errorf("CALICO_API_GROUP %q: want %q", c.APIGroup, crdGroup)
	}
	return errors.Join(mtu, families, datastore, group)
}

// leastIPv6MTU is the least MTU on which IPv6 runs (RFC 8200, section 5).
const leastIPv6MTU = 1280

// invalid joins faults under ErrConfig; nil when there are none.
func invalid(faults ...error) error {
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return nil
}

func absolute(variable, path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%s %q: want an absolute path", variable, path)
	}
	return nil
}

func fileName(variable, name string) error {
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("%s %q: want the name of a file in CNI_NET_DIR, without a path", variable, name)
	}
	if name == kubeconfigName {
		return fmt.Errorf("%s %q: that is the kubeconfig of the plugins; want the name of another file", variable, name)
	}
	return nil
}

// labels are what Kubernetes takes for the name of a node, up to maxNodeName bytes: those of RFC 1123, in lower case.
var labels = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

const maxNodeName = 253

func subdomain(variable, name string) error {
	if len(name) > maxNodeName || !labels.MatchString(name) {
		return fmt.Errorf("%s %.*q: want the name of the node as Kubernetes has it: up to %d lower-case letters, digits, '-' and '.', "+
			"with a letter or digit at each end and beside each dot", variable, maxNodeName, name, maxNodeName)
	}
	return nil
}

// netDir is where the configuration directory is mounted.
func (c Config) netDir() string { return filepath.Join(c.HostRoot, "etc/cni/net.d") }

// binDirs are where the host's binary directories are mounted, as far as they are.
func (c Config) binDirs() []string {
	return []string{filepath.Join(c.HostRoot, "opt/cni/bin"), filepath.Join(c.HostRoot, "secondary-bin-dir")}
}

// nodeFilesDir is where the host's directory of the node agent's files is mounted.
func (c Config) nodeFilesDir() string { return filepath.Join(c.HostRoot, "var/lib/calico") }

// RunDir is where the plugins' directory of what need not outlive a boot is mounted.
func (c Config) RunDir() string { return filepath.Join(c.HostRoot, "var/run/calico/cni") }

// KeepDir is where the plugins' directory of what has to outlive a boot is mounted.
func (c Config) KeepDir() string { return filepath.Join(c.nodeFilesDir(), "cni") }

// troubleDir has what the plugins met, a file a network.
func (c Config) troubleDir() trouble.Dir { return trouble.Dir(filepath.Join(c.RunDir(), "trouble")) }

// HostKubeconfig is the path of the plugins' kubeconfig as the host has it.
func (c Config) HostKubeconfig() string { return filepath.Join(c.NetDir, kubeconfigName) }

// MountedKubeconfig is the path of the plugins' kubeconfig as this process has it.
func (c Config) MountedKubeconfig() string { return c.kubeconfigPath() }

// confName is the file that our plugins are called by.
func (c Config) confName() string { return cmp.Or(c.ChainInto, c.ConfName) }

func (c Config) confPath() string { return filepath.Join(c.netDir(), c.confName()) }

// oldConfPath is the file to remove once the configuration is in place; empty when there is none, or it is that very file.
func (c Config) oldConfPath() string {
	if c.OldConfName == "" || c.OldConfName == c.confName() {
		return ""
	}
	return filepath.Join(c.netDir(), c.OldConfName)
}

func (c Config) kubeconfigPath() string { return filepath.Join(c.netDir(), kubeconfigName) }

// Followed are the directories, as they are mounted, whose changes are of interest to a watching process.
func (c Config) Followed() []string {
	return append(c.Kept(), c.ServiceAccountDir, string(c.troubleDir()), filepath.Join(c.KeepDir(), "pending"))
}

// Kept are the directories, as they are mounted, whose files a watching process keeps as they should be.
func (c Config) Kept() []string {
	dirs := append(c.binDirs(), c.netDir())
	if c.NodeFiles {
		dirs = append(dirs, c.nodeFilesDir())
	}
	return dirs
}
