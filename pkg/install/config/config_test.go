// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"calico-cni/pkg/install/fault"
)

func environment(e map[string]string) func(string) string {
	return func(name string) string { return e[name] }
}

// calicoVariables are the variables of Calico's installer that install supports, each with a value that is not the
// default.
var calicoVariables = map[string]string{
	"CNI_NET_DIR": "/n", "CNI_CONF_NAME": "1.conflist", "CNI_OLD_CONF_NAME": "0.conf", "SKIP_CNI_BINARIES": "a,b",
	"UPDATE_CNI_BINARIES": "false",
	"CNI_NETWORK_CONFIG":  "{}", "CNI_NETWORK_CONFIG_FILE": "/t", "SLEEP": "false", "CALICO_API_GROUP": "g",
	"LOG_LEVEL": "debug", "LOG_FILE_PATH": "/l",
	"LOG_FILE_MAX_SIZE": "1", "LOG_FILE_MAX_AGE": "2", "LOG_FILE_MAX_COUNT": "3", "DATASTORE_TYPE": "d",
	"KUBERNETES_NODE_NAME": "w", "CNI_MTU": "0",
	"KUBERNETES_SERVICE_HOST": "h", "KUBERNETES_SERVICE_PORT": "6443", "KUBERNETES_SERVICE_PROTOCOL": "http",
	"SKIP_TLS_VERIFY":  "true",
	"REQUIRE_MTU_FILE": "true", "KUBECONFIG": "/k", "CALICO_CNI_SERVICE_ACCOUNT": "s",
	"CNI_TOKEN_REFRESH_INTERVAL": "60",
}

func defaults() Config {
	return Config{
		HostRoot: "/host", BinSource: "/opt/cni/bin", UpdateBinaries: true, Downgrade: true,
		NetDir: "/etc/cni/net.d", ConfName: "10-calico.conflist", MTU: 1500, AssignIPv4: true,
		LogLevel: "info", LogFilePath: "/var/log/calico/cni/cni.log", LogFileMaxSize: 100, LogFileMaxAge: 30,
		LogFileMaxCount: 10,
		DatastoreType:   "kubernetes", ServicePort: "443", ServiceProtocol: "https",
		ServiceAccount: "calico-cni-plugin", ServiceAccountDir: "/var/run/secrets/kubernetes.io/serviceaccount", Sleep: true,
		Output: "text",
	}
}

func TestDefaultsMatchCalico(t *testing.T) {
	got, err := Parse(nil, environment(map[string]string{"CNI_MTU": "", "SLEEP": ""}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(defaults(), got); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
}

func TestFlagOverridesItsVariable(t *testing.T) {
	fromEnv, err := Parse(nil, environment(calicoVariables))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		HostRoot: "/host", BinSource: "/opt/cni/bin", SkipBinaries: []string{"a", "b"}, Downgrade: true,
		NetDir: "/n", ConfName: "1.conflist", OldConfName: "0.conf", NetworkConfig: "{}", NetworkConfigFile: "/t",
		NodeName: "w", RequireMTUFile: true,
		AssignIPv4: true, LogLevel: "debug", LogFilePath: "/l", LogFileMaxSize: 1, LogFileMaxAge: 2, LogFileMaxCount: 3,
		DatastoreType: "d", APIGroup: "g",
		ServiceHost: "h", ServicePort: "6443", ServiceProtocol: "http", SkipTLSVerify: true, Kubeconfig: "/k",
		ServiceAccount: "s", TokenRefresh: "60",
		ServiceAccountDir: "/var/run/secrets/kubernetes.io/serviceaccount", Output: "text",
	}
	if diff := cmp.Diff(want, fromEnv); diff != "" {
		t.Errorf("Parse of the environment (-want +got):\n%s", diff)
	}
	var args []string
	bad := map[string]string{}
	for flag, variable := range newFlags(&Config{}).variable {
		if value, ok := calicoVariables[variable]; ok {
			args = append(args, "--"+flag+"="+value)
			bad[variable] = "overridden"
		}
	}
	fromFlags, err := Parse(args, environment(bad))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromEnv, fromFlags); diff != "" {
		t.Errorf("Parse of flags (-environment +flags):\n%s", diff)
	}
}

func TestParseNamesEveryMalformedVariable(t *testing.T) {
	_, err := Parse(nil, environment(map[string]string{"CNI_MTU": "1k", "SLEEP": "maybe", "LOG_FILE_MAX_AGE": "1.5"}))
	checkFaults(t, err, `CNI_MTU "1k": want a whole number`, `SLEEP "maybe": want true or false`, `LOG_FILE_MAX_AGE "1.5"`)
}

func TestParseRefusesUnknownArguments(t *testing.T) {
	for _, arg := range []string{"--no-such-flag", "remove", "--cni-mtu=x"} {
		_, err := Parse([]string{arg}, environment(nil))
		checkFaults(t, err, strings.TrimSuffix(strings.TrimPrefix(arg, "--"), "=x"), "install --help")
	}
	if _, err := Parse([]string{"--help"}, environment(nil)); !errors.Is(err, pflag.ErrHelp) {
		t.Errorf("Parse = %v; want ErrHelp", err)
	}
}

func checkFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	if !errors.Is(err, fault.ErrConfig) {
		t.Errorf("error %v; want ErrConfig", err)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error lacks %s:\n%v", w, err)
		}
	}
}

func TestValidateNamesEveryInvalidVariable(t *testing.T) {
	good := defaults()
	good.ServiceHost = "10.96.0.1"
	if err := good.Validate(); err != nil {
		t.Fatalf("Validate = %v of the defaults", err)
	}
	for _, tt := range []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.HostRoot = "host" }, `CNI_HOST_ROOT "host"`},
		{func(c *Config) { c.BinSource = "" }, `CNI_BIN_SOURCE ""`},
		{func(c *Config) { c.NetDir = "net.d" }, `CNI_NET_DIR "net.d"`},
		{func(c *Config) { c.ServiceAccountDir = "." }, `CNI_SERVICE_ACCOUNT_DIR "."`},
		{func(c *Config) { c.ConfName = "../10.conflist" }, `CNI_CONF_NAME "../10.conflist"`},
		{func(c *Config) { c.ConfName = "10-calico" }, `CNI_CONF_NAME "10-calico"`},
		{func(c *Config) { c.ConfName = ".conflist" }, `CNI_CONF_NAME ".conflist"`},
		{func(c *Config) { c.ConfName = ".10-calico.conflist" }, `CNI_CONF_NAME ".10-calico.conflist"`},
		{func(c *Config) { c.ConfName = "calico-kubeconfig" }, `CNI_CONF_NAME "calico-kubeconfig": that is the kubeconfig`},
		{func(c *Config) { c.OldConfName = ".." }, `CNI_OLD_CONF_NAME ".."`},
		{
			func(c *Config) { c.OldConfName = "calico-kubeconfig" },
			`CNI_OLD_CONF_NAME "calico-kubeconfig": that is the kubeconfig`,
		},
		{func(c *Config) { c.NodeName = "a/b c" }, `KUBERNETES_NODE_NAME "a/b c"`},
		{func(c *Config) { c.NodeName = "Worker-1" }, `KUBERNETES_NODE_NAME "Worker-1"`},
		{func(c *Config) { c.NodeName = "worker_1" }, `KUBERNETES_NODE_NAME "worker_1"`},
		{func(c *Config) { c.NodeName = "worker-1\n" }, `KUBERNETES_NODE_NAME "worker-1\n"`},
		{func(c *Config) { c.NodeName = "worker-.example" }, `KUBERNETES_NODE_NAME "worker-.example"`},
		{func(c *Config) { c.NodeName = "worker..example" }, `KUBERNETES_NODE_NAME "worker..example"`},
		{func(c *Config) { c.NodeName = strings.Repeat("a", 254) }, `KUBERNETES_NODE_NAME "aaa`},
		{func(c *Config) { c.ServiceAccount = "a/b" }, `CALICO_CNI_SERVICE_ACCOUNT "a/b"`},
		{func(c *Config) { c.ServiceHost = "" }, `KUBERNETES_SERVICE_HOST`},
		{func(c *Config) { c.ServiceHost = "https://h" }, `KUBERNETES_SERVICE_HOST "https://h"`},
		{func(c *Config) { c.ServiceHost = "10.96.0.1:443" }, `KUBERNETES_SERVICE_HOST "10.96.0.1:443"`},
		{func(c *Config) { c.ServiceHost = "[fd00::1]:443" }, `KUBERNETES_SERVICE_HOST "[fd00::1]:443"`},
		{func(c *Config) { c.ServiceHost = "a|b" }, `KUBERNETES_SERVICE_HOST "a|b"`},
		{func(c *Config) { c.ServiceHost = "fe80::1%eth0" }, `KUBERNETES_SERVICE_HOST "fe80::1%eth0"`},
		{func(c *Config) { c.ServiceHost = "[fd00::1" }, `KUBERNETES_SERVICE_HOST "[fd00::1"`},
		{func(c *Config) { c.ServicePort = "65536" }, `KUBERNETES_SERVICE_PORT "65536"`},
		{func(c *Config) { c.ServicePort = "0" }, `KUBERNETES_SERVICE_PORT "0"`},
		{func(c *Config) { c.ServiceProtocol = "ftp" }, `KUBERNETES_SERVICE_PROTOCOL "ftp"`},
		{func(c *Config) { c.MTU = 67 }, `CNI_MTU 67`},
		{func(c *Config) { c.MTU = 65536 }, `CNI_MTU 65536`},
		{func(c *Config) { c.MTU, c.AssignIPv6 = 1279, true }, `CNI_MTU 1279: IPv6 needs 1280 at least`},
		{func(c *Config) { c.AssignIPv4 = false }, `CNI_ASSIGN_IPV4`},
		{func(c *Config) { c.DatastoreType = "etcdv3" }, `DATASTORE_TYPE "etcdv3"`},
		{func(c *Config) { c.APIGroup = "projectcalico.org/v4" }, `CALICO_API_GROUP "projectcalico.org/v4"`},
		{func(c *Config) { c.TokenRefresh = "often" }, `CNI_TOKEN_REFRESH_INTERVAL "often"`},
		{func(c *Config) { c.TokenRefresh = "-1h" }, `CNI_TOKEN_REFRESH_INTERVAL "-1h"`},
		{func(c *Config) { c.HealthAddr = "9097" }, `HEALTH_ADDR "9097"`},
		{func(c *Config) { c.HealthAddr = "127.0.0.1:abc" }, `HEALTH_ADDR "127.0.0.1:abc"`},
		{func(c *Config) { c.HealthAddr = "127.0.0.1:65536" }, `HEALTH_ADDR "127.0.0.1:65536"`},
		{func(c *Config) { c.CleanupOnExit = true }, `CLEANUP_ON_EXIT`},
		{func(c *Config) { c.ChainInto = "a.conf" }, `CNI_CHAIN_INTO "a.conf"`},
		{func(c *Config) { c.Verb, c.Output = VerbStatus, "xml" }, `--output "xml"`},
	} {
		c := good
		tt.set(&c)
		checkFaults(t, c.Validate(), tt.want)
	}
	checkFaults(t, Config{}.Validate(), "CNI_HOST_ROOT", "CNI_CONF_NAME", "KUBERNETES_SERVICE_HOST", "CNI_ASSIGN_IPV6")
}

func TestValidNodeNames(t *testing.T) {
	c := defaults()
	c.ServiceHost = "10.96.0.1"
	for _, c.NodeName = range []string{
		"a", "0", "worker-1", "ip-10-0-0-1.eu-west-1.compute.internal", "1.2.3.4", strings.Repeat("a", 253),
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("node %s: %v", c.NodeName, err)
		}
	}
}

func TestUsageNamesEveryVariableAndExitCode(t *testing.T) {
	help := Usage()
	for variable := range calicoVariables {
		if !strings.Contains(help, "["+variable+"]") {
			t.Errorf("help lacks %s", variable)
		}
	}
	for _, want := range []string{"\n  0  ", "\n  1  ", "\n  2  "} {
		if !strings.Contains(help, want) {
			t.Errorf("help lacks exit code %q", want)
		}
	}
}

func TestManualListsEveryFlagAndVariable(t *testing.T) {
	manual, err := os.ReadFile("../../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for flag, variable := range newFlags(&Config{}).variable {
		if row := "`--" + flag + "` | `" + variable + "` |"; !strings.Contains(string(manual), row) {
			t.Errorf("docs/install.md lacks %s", row)
		}
	}
}

func TestPodNamespace(t *testing.T) {
	c := Config{ServiceAccountDir: t.TempDir()}
	path := filepath.Join(c.ServiceAccountDir, "namespace")
	check := func(want string) {
		t.Helper()
		if got, err := c.PodNamespace(); got != want || (err == nil) != (want != "") {
			t.Errorf("PodNamespace = %q, %v; want %q", got, err, want)
		}
	}
	check("")
	for text, want := range map[string]string{"kube-system\n": "kube-system", "\n": ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		check(want)
	}
	c.Namespace = "calico-system"
	check("calico-system")
}
