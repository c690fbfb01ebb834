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

	"calico-cni/test/node"
)

// roles are the chart's, which the manifests have from there.
var roles = filepath.Join("..", "..", "deploy", "chart", "templates", "rbac")

// right is one verb on one kind of object.
type right struct{ group, resource, verb string }

func (r right) String() string { return r.verb + " " + r.resource }

// asked is how the server names the right that is lacking.
func (r right) asked() string {
	return fmt.Sprintf("cannot %s resource %q in API group %q", r.verb, r.resource, r.group)
}

// situation does something with the credentials of a kubeconfig, and returns what went wrong, or "". name is for the
// objects that it makes; it leaves none.
type situation func(t *testing.T, kubeconfig, name string) string

const crdGroup = "crd.projectcalico.org"

// needs says for every right of the roles in which situation it is needed.
var needs = map[string]map[right]situation{
	"calico-cni-plugin": {
		{"", "pods", "get"}:                      attachPod,
		{"", "namespaces", "get"}:                attachPod,
		{"", "nodes", "get"}:                     attachPodWherePoolsSelectNodes,
		{"", "pods/status", "patch"}:             attachPod,
		{crdGroup, "ippools", "list"}:            attachPod,
		{crdGroup, "ipreservations", "list"}:     attachPod,
		{crdGroup, "ipamconfigs", "get"}:         attachPod,
		{crdGroup, "clusterinformations", "get"}: attachPod,
		{crdGroup, "blockaffinities", "list"}:    claimBlock,
		{crdGroup, "blockaffinities", "create"}:  claimBlock,
		{crdGroup, "blockaffinities", "update"}:  claimBlock,
		{crdGroup, "blockaffinities", "get"}:     giveBlockBack,
		{crdGroup, "blockaffinities", "delete"}:  giveBlockBack,
		{crdGroup, "ipamblocks", "get"}:          attachPodWhereNoBlockIsRemembered,
		{crdGroup, "ipamblocks", "update"}:       attachPod,
		{crdGroup, "ipamblocks", "create"}:       claimBlock,
		{crdGroup, "ipamblocks", "list"}:         claimBlock,
		{crdGroup, "ipamblocks", "delete"}:       giveBlockBack,
		{crdGroup, "ipamhandles", "create"}:      attachPod,
		{crdGroup, "ipamhandles", "get"}:         releaseAddress,
		{crdGroup, "ipamhandles", "update"}:      attachAgain,
		{crdGroup, "ipamhandles", "delete"}:      releaseAddress,
	},
	"calico-cni-install": {
		{"", "serviceaccounts/token", "create"}: installAgain,
	},
}

// TestEveryRightOfTheRolesIsNeeded takes each verb of each rule away in turn, and expects that the situation which needs it
// fails for that reason and, with the whole role, does not. A right that is added without a situation here fails, too.
func TestEveryRightOfTheRolesIsNeeded(t *testing.T) {
	installed(t)
	for role, known := range needs {
		rules := readRole(t, role)
		rights := expand(rules)
		whole := account(t, role+"-whole", rules)
		for r := range known {
			if _, ok := rights[r]; !ok {
				t.Errorf("%s does not give the right to %s any more: take it out here", role, r)
			}
		}
		passed := map[string]bool{}
		for r, rule := range rights {
			do := known[r]
			if do == nil {
				t.Errorf("nothing here needs the right of %s to %s: remove it, or write the situation", role, r)
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
				// The installer names the right in its own words.
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
						APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}, ResourceNames: rule.ResourceNames,
					}
				}
			}
		}
	}
	return out
}

// without returns all rules but one.
func without(rights map[right]rbacv1.PolicyRule, but rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, rule := range rights {
		if fmt.Sprint(rule) != fmt.Sprint(but) {
			out = append(out, rule)
		}
	}
	return out
}

// account makes a service account with these rules, and returns a kubeconfig of it.
func account(t *testing.T, name string, rules []rbacv1.PolicyRule) string {
	t.Helper()
	must(t, n.Server.CreateServiceAccount(t.Context(), "kube-system", name))
	if len(rules) > 0 {
		manifest, err := yaml.Marshal(rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
		must(t, err)
		must(t, n.Server.BindClusterRole(t.Context(), manifest, "kube-system", name))
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, n.Server.WriteKubeconfig(t.Context(), path, "kube-system", name))
	return path
}

// failure is what a call said, when it failed.
func failure(a node.Answer) string {
	if a.Exit == 0 {
		return ""
	}
	return a.Error.Msg + " " + a.Stderr
}

func attachPod(t *testing.T, kubeconfig, name string) string {
	// The node has a block with room.
	add(t, newPod(t, name+"-warm"), nil)
	return failure(call(t, "ADD", newPod(t, name), map[string]any{"kubernetes.kubeconfig": kubeconfig}))
}

func attachPodWhereNoBlockIsRemembered(t *testing.T, kubeconfig, name string) string {
	add(t, newPod(t, name+"-warm"), nil)
	forgetBlocks(t)
	return failure(call(t, "ADD", newPod(t, name), map[string]any{"kubernetes.kubeconfig": kubeconfig}))
}

// attachAgain gives a container a second interface.
func attachAgain(t *testing.T, kubeconfig, name string) string {
	p := newPod(t, name)
	add(t, p, nil)
	return failure(call(t, "ADD", p, map[string]any{"kubernetes.kubeconfig": kubeconfig}, "CNI_IFNAME", "eth1"))
}

func attachPodWherePoolsSelectNodes(t *testing.T, kubeconfig, name string) string {
	pool(t, name, "10.63.0.0/24", func(spec map[string]any) { spec["nodeSelector"] = "kubernetes.io/hostname == '" + node.Name + "'" })
	return attachPod(t, kubeconfig, name)
}

// pool makes a pool that goes with its test.
func pool(t *testing.T, name, cidr string, change ...func(map[string]any)) {
	t.Helper()
	must(t, n.CreatePool(t.Context(), name, cidr, 29, change...))
	t.Cleanup(func() {
		if err := n.Delete(withoutCancel(t.Context()), "ippools", name); err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

// onNode is a configuration for calico-ipam on a node of its own.
func onNode(t *testing.T, kubeconfig, name, pool string) map[string]any {
	t.Helper()
	config, err := n.Config(map[string]any{
		"kubernetes.kubeconfig": kubeconfig, "nodename": name, "nodename_file_optional": true, "ipam_lock_file": filepath.Join(t.TempDir(), "lock"),
		"ipam.assign_ipv6": "false", "ipam.ipv4_pools": []string{pool},
	})
	must(t, err)
	return config
}

// release takes back what a container holds, with the rights that it takes.
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

// giveBlockBack has a node claim a block while it owns an empty one in a pool that is gone.
func giveBlockBack(t *testing.T, kubeconfig, name string) string {
	old := name + "-old"
	pool(t, name, "10.61.0.0/24")
	pool(t, old, "10.62.0.0/24")
	if a := ipam(t, "ADD", old, onNode(t, n.Kubeconfig(), name, old)); a.Exit != 0 {
		t.Fatalf("ADD in the old pool: %+v", a)
	}
	release(t, old, name, old)
	must(t, n.Delete(t.Context(), "ippools", old))
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
	handles, err := n.List(t.Context(), "ipamhandles")
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

// TestInstallNeedsTheOneCapabilityThatItsContainerHas installs as the DaemonSet's containers do, root without capabilities
// but DAC_OVERRIDE, onto a host whose directories are another user's and closed; and then without that one.
func TestInstallNeedsTheOneCapabilityThatItsContainerHas(t *testing.T) {
	installed(t)
	for capabilities, want := range map[string]string{"-all,+dac_override": "", "-all": "permission denied"} {
		t.Run(capabilities, func(t *testing.T) {
			host := foreignHost(t)
			api, err := url.Parse(n.Server.URL())
			must(t, err)
			cmd := exec.CommandContext(t.Context(), "setpriv", "--no-new-privs", "--bounding-set="+capabilities, "--inh-caps=-all", filepath.Join(n.Tools, "install"))
			cmd.Env = []string{
				"KUBERNETES_SERVICE_HOST=" + api.Hostname(), "KUBERNETES_SERVICE_PORT=" + api.Port(), "KUBERNETES_NODE_NAME=" + node.Name,
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
			installed := strings.Join(files, " ") == ".calico-cni.record 10-calico.conflist calico calico-ipam calico-kubeconfig portmap"
			if installed != (want == "") || want != "" && len(files) > 0 {
				t.Errorf("on the host are %v", files)
			}
		})
	}
}

// foreignHost is a host whose directories belong to somebody else, who lets nobody write there.
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
