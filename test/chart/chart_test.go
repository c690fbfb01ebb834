// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"sigs.k8s.io/yaml"

	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

var (
	deployDir = filepath.Join("..", "..", "deploy")
	chartDir  = filepath.Join(deployDir, "chart")
)

// must returns a function that returns the value, or fails the test on an error.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// set parses "a.b.c=VALUE", with VALUE in YAML, or a map in YAML.
func set(t testing.TB, assignment string) map[string]any {
	t.Helper()
	var value any
	if strings.HasPrefix(assignment, "{") {
		if err := yaml.Unmarshal([]byte(assignment), &value); err != nil {
			t.Fatal(err)
		}
		return value.(map[string]any)
	}
	path, text, ok := strings.Cut(assignment, "=")
	if !ok {
		return nil
	}
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		value = map[string]any{key: value}
	}
	return value.(map[string]any)
}

func TestManifestsMatchChart(t *testing.T) {
	manifests := must(Manifests(deployDir))(t)
	paths := []string{
		"calico-cni-crds-v1.yaml", "calico-cni-crds.yaml", "calico-cni.yaml", "profiles/k3s.yaml", "profiles/microk8s.yaml",
	}
	if got := slices.Sorted(maps.Keys(manifests)); !slices.Equal(got, paths) {
		t.Errorf("manifests: %v", got)
	}
	for path, want := range manifests {
		got := must(os.ReadFile(filepath.Join(deployDir, path)))(t)
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s differs from the rendered chart: run make generate (-chart +file):\n%s", path, diff)
		}
	}
}

func TestHelmLinterAcceptsChart(t *testing.T) {
	values := must(common.ReadValuesFile(filepath.Join(chartDir, "values.yaml")))(t)
	for _, m := range lint.RunAll(chartDir, values, Namespace).Messages {
		// The chart has no icon.
		if !strings.Contains(m.Err.Error(), "icon is recommended") {
			t.Error(m)
		}
	}
}

// changes has a different value for every default in values.yaml, and the text that this value adds to the manifest.
var changes = map[string]string{
	"image.repository=mirror/cni":                              "image: mirror/cni:v0.1.0",
	"image.tag=v9":                                             "image: localhost/calico-cni:v9",
	"image.digest='sha256:" + digest + "'":                     "image: localhost/calico-cni@sha256:" + digest,
	"image.pullPolicy=Never":                                   "imagePullPolicy: Never",
	"imagePullSecrets=[{name: pull}]":                          `imagePullSecrets: [{"name":"pull"}]`,
	"host.binDir=/b":                                           "hostPath: {path: /b, type",
	"host.secondaryBinDir=/s":                                  "mountPath: /host/secondary-bin-dir",
	"host.netDir=/n":                                           "value: /n\n",
	"host.stateDir=/v":                                         "hostPath: {path: /v, type",
	"cni.confName=05-calico.conflist":                          "value: 05-calico.conflist",
	"cni.oldConfName=10-old.conflist":                          "value: 10-old.conflist",
	"cni.networkConfig='{\"name\": \"own\", \"plugins\": []}'": `{"name": "own", "plugins": []}`,
	"cni.mtu=1400":                                             `veth_mtu: "1400"`,
	"cni.requireMTUFile=true":                                  "- name: REQUIRE_MTU_FILE\n              value: \"true\"",
	"cni.portmap=false":                                        "",
	"cni.bandwidth=true":                                       `"capabilities": {"bandwidth": true}`,
	"cni.allowIPForwarding=true":                               `{"allow_ip_forwarding": true}`,
	"cni.skipBinaries=[tuning, '1']":                           `value: "tuning,1"`,
	"cni.updateBinaries=false": "- name: UPDATE_CNI_BINARIES\n              value: " +
		"\"false\"",
	"cni.downgrade=false":                    "- name: CNI_DOWNGRADE\n              value: \"false\"",
	"cni.log.level=debug":                    "value: debug",
	"cni.log.file=/l/f":                      "value: /l/f",
	"cni.log.maxSize=7":                      `value: "7"`,
	"cni.log.maxAge=8":                       `value: "8"`,
	"cni.log.maxCount=9":                     `value: "9"`,
	"ipam.assignIPv4=false":                  `"assign_ipv4": "false"`,
	"ipam.assignIPv6=true":                   `"assign_ipv6": "true"`,
	"apiGroup=crd.projectcalico.org/v1":      "- name: CALICO_API_GROUP\n              value: crd.projectcalico.org/v1",
	"ipPools=[{name: p, cidr: 10.0.0.0/16}]": `spec: {"cidr":"10.0.0.0/16"}`,
	"apiServer.host=192.0.2.1": "- name: KUBERNETES_SERVICE_HOST\n              value: " +
		"\"192.0.2.1\"",
	"apiServer.port=6443": "- name: KUBERNETES_SERVICE_PORT\n              value: " +
		"\"6443\"",
	"upgradeIPAM=true":                "command: [/opt/cni/bin/calico-ipam, -upgrade]",
	"nodeFiles=false":                 "",
	"healthPort=9100":                 "- --health-addr=127.0.0.1:9100",
	"cleanupOnExit=true":              "- --cleanup-on-exit",
	"updateStrategy.maxUnavailable=3": `rollingUpdate: {"maxUnavailable":3}`,
	"nodeSelector={disk: ssd}":        `"disk":"ssd"`,
	"tolerations=[{key: own}]":        "- key: own",
	"seLinuxOptions.type=mine_t":      `"type":"mine_t"`,
	"seLinuxOptions.level=s1":         `"level":"s1"`,
	"resources.limits.memory=1Gi":     `"memory":"1Gi"`,
	"resources.requests={cpu: 5m}":    `"cpu":"5m"`,
}

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestEveryValueChangesManifest(t *testing.T) {
	plain := must(Render(chartDir, nil))(t)
	// These values remove text.
	removed := map[string]string{"cni.portmap": `"portmap"`, "nodeFiles": "--provide-node-files"}
	covered := map[string]bool{}
	for assignment, want := range changes {
		path, _, _ := strings.Cut(assignment, "=")
		covered[path] = true
		values := set(t, assignment)
		if path == "ipam.assignIPv4" {
			values["ipam"].(map[string]any)["assignIPv6"] = true
		}
		got := must(Render(chartDir, values))(t)
		if text := removed[path]; text != "" {
			if strings.Contains(got, text) || !strings.Contains(plain, text) {
				t.Errorf("with %s the manifest still contains %s", assignment, text)
			}
			continue
		}
		if !strings.Contains(got, want) || strings.Contains(plain, want) {
			t.Errorf("with %s the manifest lacks %q, or contains it by default", assignment, want)
		}
	}
	defaults := must(common.ReadValuesFile(filepath.Join(chartDir, "values.yaml")))(t)
	for _, path := range leaves("", defaults) {
		known := slices.ContainsFunc(slices.Collect(maps.Keys(covered)), func(c string) bool {
			return path == c || strings.HasPrefix(path, c+".")
		})
		if !known {
			t.Errorf("no case changes %s", path)
		}
	}
}

// leaves returns the paths of all values that are not maps, and of empty maps.
func leaves(prefix string, value any) []string {
	m, ok := value.(map[string]any)
	if v, isValues := value.(common.Values); isValues {
		m, ok = v, true
	}
	if !ok || len(m) == 0 {
		return []string{strings.TrimSuffix(prefix, ".")}
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		out = append(out, leaves(prefix+key+".", m[key])...)
	}
	return out
}

func TestEveryValueHasComment(t *testing.T) {
	text := string(must(os.ReadFile(filepath.Join(chartDir, "values.yaml")))(t))
	lines := strings.Split(text, "\n")
	// These need no comment, or the comment of their section explains them.
	plain := []string{
		"repository", "image", "cni", "ipam", "log", "updateStrategy", "pullPolicy", "assignIPv4", "assignIPv6", "maxAge",
		"maxCount", "host", "port", "level", "type", "requests", "limits",
	}
	for i, line := range lines {
		key, _, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok || strings.HasPrefix(key, "#") || strings.HasPrefix(key, "-") || slices.Contains(plain, key) {
			continue
		}
		if !strings.HasPrefix(strings.TrimSpace(lines[i-1]), "#") {
			t.Errorf("line %d: no comment explains %s", i+1, key)
		}
	}
}

// TestSchemaAcceptsValidValues uses values that the CustomResourceDefinitions and install accept.
func TestSchemaAcceptsValidValues(t *testing.T) {
	for _, assignment := range []string{
		"apiServer.host=2001:db8::1", "apiServer.host='[2001:db8::1]'", "apiServer.host='[10.96.0.1]'",
		"apiServer.host=api.example", "apiServer.port='65535'",
		"ipPools=[{name: p, cidr: 2001:db8::/64, blockSize: 122, allowedUses: [Workload], assignmentMode: Manual, " +
			"disableBGPExport: true, disabled: true, ipipMode: Never, namespaceSelector: all(), natOutgoing: true, " +
			"nodeSelector: all(), vxlanMode: Always}]",
	} {
		if _, err := Render(chartDir, set(t, assignment)); err != nil {
			t.Errorf("with %s: %v", assignment, err)
		}
	}
}

// TestSchemaAcceptsValidPoolSizes uses the limits of the ranges, and a disabled pool that is smaller than a block,
// which the API server accepts.
func TestSchemaAcceptsValidPoolSizes(t *testing.T) {
	for _, pool := range []string{
		"cidr: 10.0.0.0/8, blockSize: 20", "cidr: 10.0.0.0/8, blockSize: 32", "cidr: 10.0.0.0/26",
		"cidr: 10.0.0.0/26, blockSize: 26", "cidr: 10.0.0.1/32, blockSize: 32", "cidr: 'fd00::/64', blockSize: 116",
		"cidr: 'fd00::/64', blockSize: 128", "cidr: 'fd00::/122'", "cidr: 10.0.0.0/28, disabled: true",
	} {
		text, err := Render(chartDir, set(t, "ipPools=[{name: p, "+pool+"}]"))
		if err != nil {
			t.Errorf("%s: %v", pool, err)
			continue
		}
		const keep = "helm.sh/resource-policy: keep"
		if strings.Count(text, "kind: IPPool") != 1 || !strings.Contains(text, keep) {
			t.Errorf("%s: want one IPPool with %s in:\n%s", pool, keep, text)
		}
	}
}

func TestSchemaRejectsInvalidValues(t *testing.T) {
	for name, tt := range map[string]struct{ assignment, want string }{
		"an unknown value":                {"cni.mtuu=1", "mtuu"},
		"an unknown section":              {"daemonset.a=1", "daemonset"},
		"an MTU as a string":              {"cni.mtu='1450'", "/cni/mtu"},
		"an MTU below the minimum":        {"cni.mtu=67", "/cni/mtu"},
		"a relative directory":            {"host.binDir=opt/cni/bin", "/host/binDir"},
		"a directory with YAML syntax":    {"host.netDir='/etc/cni, type: Socket'", "/host/netDir"},
		"a configuration with a bad name": {"cni.confName=10-calico.yaml", "/cni/confName"},
		"a configuration outside netDir":  {"cni.confName=../10-calico.conflist", "/cni/confName"},
		"a list in a file for one plugin": {"cni.confName=10-calico.conf", "cni.confName"},
		"a plugin in a file for a list":   {`cni.networkConfig='{"name": "n", "type": "calico"}'`, "cni.confName"},
		"a configuration with bad JSON":   {`cni.networkConfig='{"name": }'`, "cni.networkConfig"},
		"a configuration that is a list":  {`cni.networkConfig='[]'`, "cni.networkConfig"},
		"a configuration without a name":  {`cni.networkConfig='{"plugins": []}'`, "cni.networkConfig"},
		"an unknown placeholder":          {`cni.networkConfig='{"name": "n", "plugins": ["__MTU__"]}'`, "__MTU__"},
		"an MTU too small for IPv6":       {"{cni: {mtu: 1279}, ipam: {assignIPv6: true}}", "/ipam/assignIPv6"},
		"an age above the maximum":        {"cni.log.maxAge=36501", "/cni/log/maxAge"},
		"a bad host in brackets":          {"apiServer.host='[:::1]'", "/apiServer/host"},
		"an unknown log level":            {"cni.log.level=loud", "/cni/log/level"},
		"a tag with a space":              {"image.tag='v1 v2'", "/image/tag"},
		"a short digest":                  {"image.digest='sha256:00'", "/image/digest"},
		"no address family":               {"ipam.assignIPv4=false", "/ipam"},
		"a pool without CIDR":             {"ipPools=[{name: p}]", "cidr"},
		"IPv4 blocks that are too large": {
			"ipPools=[{name: p, cidr: 10.0.0.0/8, blockSize: 19}]", `pool "p" of 10.0.0.0/8 has blockSize 19: want 20 to 32`,
		},
		"an IPv6 block size for IPv4": {
			"ipPools=[{name: p, cidr: 10.0.0.0/16, blockSize: 122}]", `pool "p" of 10.0.0.0/16 has blockSize 122: want 20 to 32`,
		},
		"an IPv4 block size for IPv6": {
			"ipPools=[{name: p, cidr: 'fd00::/64', blockSize: 26}]", `pool "p" of fd00::/64 has blockSize 26: want 116 to 128`,
		},
		"a block size above 128": {
			"ipPools=[{name: p, cidr: 'fd00::/64', blockSize: 129}]", "blockSize 129: want 116 to 128",
		},
		"blocks larger than the pool": {
			"ipPools=[{name: p, cidr: 10.0.0.0/26, blockSize: 24}]", "blockSize 24: want 26 to 32",
		},
		"default blocks in a small pool": {
			"ipPools=[{name: p, cidr: 10.0.0.0/28}]", "blockSize left out, which means 26: want 28 to 32",
		},
		"default blocks, small IPv6 pool": {
			"ipPools=[{name: p, cidr: 'fd00::/124'}]", "blockSize left out, which means 122: want 124 to 128",
		},
		"a prefix length above 32": {
			"ipPools=[{name: p, cidr: 10.0.0.0/33}]", `pool "p" has the CIDR 10.0.0.0/33: want a prefix length of 32 at most`,
		},
		"the second pool": {
			"ipPools=[{name: p, cidr: 10.0.0.0/16}, {name: q, cidr: 10.1.0.0/16, blockSize: 0}]", `pool "q"`,
		},
		"a pool with a bad CIDR":     {"ipPools=[{name: p, cidr: ten}]", "/ipPools/0/cidr"},
		"a URL as host":              {"apiServer.host='https://192.0.2.1'", "/apiServer/host"},
		"a host with a port":         {"apiServer.host='192.0.2.1:6443'", "/apiServer/host"},
		"an IPv6 host with a port":   {"apiServer.host='[2001:db8::1]:6443'", "/apiServer/host"},
		"a port above 65535":         {"apiServer.port='65536'", "/apiServer/port"},
		"an unknown field of a pool": {"ipPools=[{name: p, cidr: 10.0.0.0/16, blocksize: 24}]", "blocksize"},
		"a health port above 65535":  {"healthPort=65536", "/healthPort"},
		"zero nodes at a time":       {"updateStrategy.maxUnavailable=0", "/updateStrategy/maxUnavailable"},
		"zero percent of the nodes":  {"updateStrategy.maxUnavailable=0%", "/updateStrategy/maxUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Render(chartDir, set(t, tt.assignment))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("with %s: %v, want an error with %s", tt.assignment, err, tt.want)
			}
		})
	}
}
