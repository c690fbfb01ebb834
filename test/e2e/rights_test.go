// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"calico-cni/test/apiserver"
	"calico-cni/test/node"
)

// roles is the directory of the chart's roles, from which the manifests are generated.
var roles = filepath.Join("..", "..", "deploy", "chart", "templates", "rbac")

// right is one verb on one kind of object.
type right struct{ group, resource, verb string }

func (r right) String() string { return r.verb + " " + r.resource }

// asked returns the server's wording for a missing right.
func (r right) asked() string {
	return fmt.Sprintf("cannot %s resource %q in API group %q", r.verb, r.resource, r.group)
}

// situation uses the credentials of a kubeconfig and returns the error, or "". name is for the objects that it creates;
// it leaves none behind.
type situation func(t *testing.T, kubeconfig, name string) string

// needs returns a situation for every right of the roles on a cluster with one API group of Calico's objects. A right in
// the other group has none. configs is the resource of the IPAM configuration.
func needs(calico, configs string) map[string]map[right]situation {
	return map[string]map[right]situation{
		"calico-cni-plugin": {
			{"", "pods", "get"}:                    attachPod,
			{"", "namespaces", "get"}:              attachPod,
			{"", "nodes", "get"}:                   attachPodWherePoolsSelectNodes,
			{"", "pods/status", "patch"}:           attachPod,
			{calico, "ippools", "list"}:            attachPod,
			{calico, "ipreservations", "list"}:     attachPod,
			{calico, configs, "get"}:               attachPod,
			{calico, "clusterinformations", "get"}: attachPod,
			{calico, "blockaffinities", "list"}:    claimBlock,
			{calico, "blockaffinities", "create"}:  claimBlock,
			{calico, "blockaffinities", "update"}:  claimBlock,
			{calico, "blockaffinities", "get"}:     giveBlockBack,
			{calico, "blockaffinities", "delete"}:  giveBlockBack,
			{calico, "ipamblocks", "get"}:          attachPodWhereNoBlockIsRemembered,
			{calico, "ipamblocks", "update"}:       attachPod,
			{calico, "ipamblocks", "create"}:       claimBlock,
			{calico, "ipamblocks", "list"}:         claimBlock,
			{calico, "ipamblocks", "delete"}:       giveBlockBack,
			{calico, "ipamhandles", "create"}:      attachPod,
			{calico, "ipamhandles", "get"}:         releaseAddress,
			{calico, "ipamhandles", "update"}:      attachAgain,
			{calico, "ipamhandles", "delete"}:      releaseAddress,
		},
		"calico-cni-install": {
			{"", "serviceaccounts/token", "create"}:        installAgain,
			{migrationGroup, "datastoremigrations", "get"}: findMigration,
		},
	}
}

// isForeign reports whether a right is not needed on this cluster: in the other API group of Calico's objects, or, on a
// cluster that has only the newer group, on migrations to it.
func isForeign(r right) bool {
	own, _, _ := strings.Cut(n.Datastore.Group, "/")
	switch r.group {
	case "", own:
		return false
	case migrationGroup:
		return n.Datastore.Group == apiserver.V3
	default:
		return true
	}
}

// TestEveryRightOfRolesIsNeeded removes each verb of each rule in turn. The situation of the right must fail for this
// reason, and succeed with the complete role. A right without a situation fails the test.
func TestEveryRightOfRolesIsNeeded(t *testing.T) {
	installed(t)
	calico, _, _ := strings.Cut(n.Datastore.Group, "/")
	configs := "ipamconfigs"
	if n.Datastore.Group == apiserver.V3 {
		configs = "ipamconfigurations"
	}
	for role, known := range needs(calico, configs) {
		rules := readRole(t, role)
		rights := expand(rules)
		whole := account(t, role+"-whole", rules)
		for r := range known {
			if _, ok := rights[r]; !ok && !isForeign(r) {
				t.Errorf("%s no longer grants %s: remove it here", role, r)
			}
		}
		passed := map[string]bool{}
		for r, rule := range rights {
			if isForeign(r) {
				continue
			}
			do := known[r]
			if do == nil {
				t.Errorf("nothing here needs the right of %s to %s: remove it, or add a situation", role, r)
				continue
			}
			name := strings.NewReplacer(" ", "-", "/", "-").Replace("rights-" + r.String())
			t.Run(role+" without "+r.String(), func(t *testing.T) {
				if what := fmt.Sprintf("%p", do); !passed[what] {
					if failure := do(t, whole, name+"-whole"); failure != "" {
						t.Fatalf("with the whole role: %s", failure)
					}
					passed[what] = true
				}
				failure := do(t, account(t, name, without(rights, rule)), name)
				// The installer words the right differently.
				if !strings.Contains(failure, r.asked()) && !strings.Contains(failure, "allow it to "+r.String()) {
					t.Errorf("it fails with %q, want: %s", failure, r.asked())
				}
			})
		}
	}
}

func readRole(t *testing.T, name string) []rbacv1.PolicyRule {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(roles, name+".yaml"))
	must(t, err)
	role := new(rbacv1.ClusterRole)
	must(t, yaml.UnmarshalStrict(data, role))
	return role.Rules
}

// expand returns the rules with one verb and one resource each.
func expand(rules []rbacv1.PolicyRule) map[right]rbacv1.PolicyRule {
	out := map[right]rbacv1.PolicyRule{}
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out[right{group, resource, verb}] = rbacv1.PolicyRule{
						APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb},
						ResourceNames: rule.ResourceNames,
					}
				}
			}
		}
	}
	return out
}

// without returns all rules except one.
func without(rights map[right]rbacv1.PolicyRule, but rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, rule := range rights {
		if fmt.Sprint(rule) != fmt.Sprint(but) {
			out = append(out, rule)
		}
	}
	return out
}

// account creates a service account with these rules and returns its kubeconfig.
func account(t *testing.T, name string, rules []rbacv1.PolicyRule) string {
	t.Helper()
	must(t, n.Server.Admin().CreateServiceAccount(t.Context(), "kube-system", name))
	if len(rules) > 0 {
		manifest, err := yaml.Marshal(rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
		must(t, err)
		must(t, n.Server.Accounts().BindClusterRole(t.Context(), manifest, "kube-system", name))
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, n.Server.Accounts().WriteKubeconfig(t.Context(), path, "kube-system", name))
	return path
}

// failure returns the error message of a call, if it failed.
func failure(a node.Answer) string {
	if a.Exit == 0 {
		return ""
	}
	return a.Error.Msg + " " + a.Stderr
}

func attachPod(t *testing.T, kubeconfig, name string) string {
	// The node has a block with free addresses.
	add(t, newPod(t, name+"-warm"), nil)
	return failure(call(t, "ADD", newPod(t, name), map[string]any{"kubernetes.kubeconfig": kubeconfig}))
}

func attachPodWhereNoBlockIsRemembered(t *testing.T, kubeconfig, name string) string {
	add(t, newPod(t, name+"-warm"), nil)
	removeCachedBlocks(t)
	return failure(call(t, "ADD", newPod(t, name), map[string]any{"kubernetes.kubeconfig": kubeconfig}))
}

// attachAgain gives a container a second interface.
func attachAgain(t *testing.T, kubeconfig, name string) string {
	p := newPod(t, name)
	add(t, p, nil)
	return failure(call(t, "ADD", p, map[string]any{"kubernetes.kubeconfig": kubeconfig}, "CNI_IFNAME", "eth1"))
}

func attachPodWherePoolsSelectNodes(t *testing.T, kubeconfig, name string) string {
	pool(t, name, "10.63.0.0/24", func(spec map[string]any) {
		spec["nodeSelector"] = "kubernetes.io/hostname == '" + node.Name + "'"
	})
	return attachPod(t, kubeconfig, name)
}

// pool creates a pool that is deleted with its test.
func pool(t *testing.T, name, cidr string, change ...func(map[string]any)) {
	t.Helper()
	must(t, n.Datastore.CreatePool(t.Context(), name, cidr, 29, change...))
	t.Cleanup(func() {
		if err := n.Datastore.Delete(withoutCancel(t.Context()), "ippools", name); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// onNode returns a configuration for calico-ipam on a separate node.
func onNode(t *testing.T, kubeconfig, name, pool string) map[string]any {
	t.Helper()
	config, err := n.Config(map[string]any{
		"kubernetes.kubeconfig": kubeconfig, "nodename": name, "nodename_file_optional": true,
		"ipam_lock_file":   filepath.Join(t.TempDir(), "lock"),
		"ipam.assign_ipv6": "false", "ipam.ipv4_pools": []string{pool},
	})
	must(t, err)
	return config
}

// release releases the addresses of a container with full rights.
func release(t *testing.T, id, name, pool string) {
	t.Helper()
	if a := ipam(t, "DEL", id, onNode(t, n.Kubeconfig(), name, pool)); a.Exit != 0 {
		t.Errorf("DEL %s: %+v", id, a)
	}
}

func claimBlock(t *testing.T, kubeconfig, name string) string {
	pool(t, name, "10.61.0.0/24")
	defer release(t, name, name, name)
	return failure(ipam(t, "ADD", name, onNode(t, kubeconfig, name, name)))
}

// giveBlockBack lets a node claim a block while it owns an empty one in a deleted pool.
func giveBlockBack(t *testing.T, kubeconfig, name string) string {
	old := name + "-old"
	pool(t, name, "10.61.0.0/24")
	pool(t, old, "10.62.0.0/24")
	if a := ipam(t, "ADD", old, onNode(t, n.Kubeconfig(), name, old)); a.Exit != 0 {
		t.Fatalf("ADD in the old pool: %+v", a)
	}
	release(t, old, name, old)
	must(t, n.Datastore.Delete(t.Context(), "ippools", old))
	defer release(t, name, name, name)
	return failure(ipam(t, "ADD", name, onNode(t, kubeconfig, name, name)))
}

func releaseAddress(t *testing.T, kubeconfig, name string) string {
	pool(t, name, "10.61.0.0/24")
	if a := ipam(t, "ADD", name, onNode(t, n.Kubeconfig(), name, name)); a.Exit != 0 {
		t.Fatalf("ADD: %+v", a)
	}
	defer release(t, name, name, name)
	a := ipam(t, "DEL", name, onNode(t, kubeconfig, name, name))
	handles, err := n.Datastore.List(t.Context(), "ipamhandles")
	must(t, err)
	if _, held := handles[node.Network+"."+name]; held {
		return "the handle is still there: " + failure(a) + a.Stderr
	}
	return failure(a)
}

func installAgain(t *testing.T, kubeconfig, _ string) string {
	before, err := os.ReadFile(n.Kubeconfig())
	must(t, err)
	log, err := n.Install(t.Context(), "CNI_ASSIGN_IPV6=true", "KUBECONFIG="+kubeconfig)
	if err == nil {
		return ""
	}
	if after, readErr := os.ReadFile(n.Kubeconfig()); readErr != nil || string(after) != string(before) {
		t.Errorf("the kubeconfig was changed by an installation that failed (%v)", readErr)
	}
	return strings.ReplaceAll(log, `\"`, `"`)
}

// TestInstallNeedsOnlyDacOverride installs like the containers of the DaemonSet, as root with only the capability
// DAC_OVERRIDE, on a host whose directories belong to another user; and then without that capability.
func TestInstallNeedsOnlyDacOverride(t *testing.T) {
	installed(t)
	for capabilities, want := range map[string]string{"-all,+dac_override": "", "-all": "permission denied"} {
		t.Run(capabilities, func(t *testing.T) {
			host := foreignHost(t)
			api, err := url.Parse(n.Server.URL())
			must(t, err)
			cmd := exec.CommandContext(t.Context(), "setpriv", "--no-new-privs", "--bounding-set="+capabilities,
				"--inh-caps=-all", filepath.Join(n.Tools, "install"))
			cmd.Env = []string{
				"KUBERNETES_SERVICE_HOST=" + api.Hostname(), "KUBERNETES_SERVICE_PORT=" + api.Port(),
				"KUBERNETES_NODE_NAME=" + node.Name,
				"CNI_HOST_ROOT=" + host, "CNI_BIN_SOURCE=" + filepath.Join(n.Root, "image"), "SLEEP=false",
			}
			out, err := cmd.CombinedOutput()
			if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
				t.Errorf("install: %v, want %q\n%s", err, want, out)
			}
			var files []string
			for _, pattern := range []string{"opt/cni/bin/*", "etc/cni/net.d/*"} {
				found, err := filepath.Glob(filepath.Join(host, pattern))
				must(t, err)
				for _, f := range found {
					files = append(files, filepath.Base(f))
				}
			}
			slices.Sort(files)
			installed := strings.Join(files,
				" ") == ".calico-cni.record 10-calico.conflist calico calico-ipam calico-kubeconfig portmap"
			if installed != (want == "") || want != "" && len(files) > 0 {
				t.Errorf("on the host are %v", files)
			}
		})
	}
}

// foreignHost creates a host whose directories belong to another user and are not writable for others.
func foreignHost(t *testing.T) string {
	t.Helper()
	host := t.TempDir()
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d"} {
		path := filepath.Join(host, dir)
		must(t, os.MkdirAll(path, 0o755))
		must(t, os.Chown(path, 1001, 1001))
	}
	return host
}
