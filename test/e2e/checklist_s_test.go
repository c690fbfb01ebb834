// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// TestS1_S6_S7 calls STATUS like a runtime: often, on every plugin, with only the command in the environment.
func TestS1_S6_S7_ReadyStatusIsSilentAndMakesNoRequest(t *testing.T) {
	bare := []string{"CNI_IFNAME", "-", "CNI_PATH", "-", "PATH", "-"}
	p := newPod(t, "s1")
	for _, plugin := range both {
		through := proxy.Start(t, n.Kubeconfig())
		named := map[string]any{"name": "s1-" + plugin, "kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
		expectOK(t, plugin+" before the first ADD", ask(t, plugin, "STATUS", nil, named, bare...))
		attach(t, plugin, p, named)
		if requests, _ := through.Take(); len(requests) == 0 {
			t.Fatal("the proxy did not see the requests")
		}
		for range 3 {
			expectOK(t, plugin+" after it", ask(t, plugin, "STATUS", nil, named, bare...))
		}
		if requests, connections := through.Take(); len(requests) != 0 || connections != 0 {
			t.Errorf("%s: STATUS made %d connections and:\n%s", plugin, connections, proxy.Lines(requests))
		}
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, named))
		for _, version := range specVersions[:len(specVersions)-1] {
			named["cniVersion"] = version
			expectError(t, plugin, ask(t, plugin, "STATUS", nil, named), 1, version, "STATUS", "1.1.0")
		}
	}
}

// expired returns a token that has expired according to its claims.
func expired() string {
	part := func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) }
	return part(`{"alg":"RS256"}`) + "." +
		part(`{"exp":1600000000,"sub":"system:serviceaccount:kube-system:calico-cni-plugin"}`) + "." + part(secret)
}

func TestS2_StatusReportsMissingPrerequisites(t *testing.T) {
	installed(t)
	old := kubeconfig(t, n.Server.URL())
	must(t, os.WriteFile(old, []byte(strings.ReplaceAll(read(old), secret, expired())), 0o600))
	garbage := filepath.Join(t.TempDir(), "garbage")
	must(t, os.WriteFile(garbage, []byte("{{{ "+secret), 0o600))
	for _, plugin := range both {
		for name, r := range map[string]refusal{
			"no kubeconfig": {
				changes: map[string]any{"kubernetes.kubeconfig": "/nowhere/kubeconfig"},
				says:    []string{"/nowhere/kubeconfig", "correct kubernetes.kubeconfig"},
			},
			"bad kubeconfig": {
				changes: map[string]any{"kubernetes.kubeconfig": garbage},
				says:    []string{garbage, "install"},
			},
			"expired token": {
				changes: map[string]any{"kubernetes.kubeconfig": old},
				says:    []string{"expired", "2020-09-13", old, "write a new token"},
			},
			"kubeconfig not configured": {
				changes: map[string]any{"kubernetes.kubeconfig": ""},
				says:    []string{"kubernetes.kubeconfig"},
			},
		} {
			r.changes["name"] = "s2-" + plugin
			a := ask(t, plugin, "STATUS", nil, r.changes)
			expectError(t, plugin+" "+name, a, 50, r.says...)
			if strings.Contains(a.Stdout+a.Stderr, secret) || strings.Contains(a.Stdout+a.Stderr, expired()) {
				t.Errorf("%s %s: the secret is in the output:\n%s\n%s", plugin, name, a.Stdout, a.Stderr)
			}
		}
	}
	// calico-ipam also serves main plugins that need no node agent.
	noName := map[string]any{"nodename_file": "/nowhere/nodename"}
	noAgent := ask(t, "calico", "STATUS", nil, noName)
	expectError(t, "calico, no nodename file", noAgent, 50, "/nowhere/nodename", "calico-node")
	expectOK(t, "calico-ipam, no nodename file", ask(t, "calico-ipam", "STATUS", nil, noName))
	noMTU := map[string]any{"mtu": 0, "require_mtu_file": true}
	expectError(t, "no MTU file", ask(t, "calico", "STATUS", nil, noMTU), 50, "/var/lib/calico/mtu")
}

// TestS2_S5 runs an ADD and a DEL in each kind of outage. STATUS must report the outage exactly as long as it lasts.
func TestS2_S5_StatusReportsOutageUntilItEnds(t *testing.T) {
	p := newPod(t, "s2-outage")
	for _, plugin := range both {
		for i, o := range outages(t) {
			for _, verb := range []string{"ADD", "DEL"} {
				t.Run(plugin+" "+o.name+" "+verb, func(t *testing.T) {
					through := map[string]any{
						"name":                  fmt.Sprintf("s2-%s-%d-%s", plugin, i, strings.ToLower(verb)),
						"kubernetes.kubeconfig": o.begin(t),
					}
					if a := ask(t, plugin, verb, p, through); (a.Exit == 0) != (verb == "DEL") {
						t.Fatalf("%s: %+v", verb, a)
					}
					expectError(t, "STATUS", ask(t, plugin, "STATUS", nil, through), 50, o.says)
					expectError(t, "STATUS again", ask(t, plugin, "STATUS", nil, through), 50, o.says)
					o.end(t)
					expectOK(t, "STATUS when it is over", ask(t, plugin, "STATUS", nil, through))
				})
			}
		}
	}
}

func TestS2_S5_PodsCutOffAreCode51AndVerbsContinue(t *testing.T) {
	for i, family := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		t.Run(family, func(t *testing.T) {
			sysctl := "/proc/sys/net/" + family
			p := newPod(t, fmt.Sprint("s2-suffers-", i))
			a := attach(t, "calico", p, nil)
			must(t, os.WriteFile(sysctl, []byte("0"), 0o644))
			defer func() { must(t, os.WriteFile(sysctl, []byte("1"), 0o644)) }()
			expectError(t, "STATUS", ask(t, "calico", "STATUS", nil, nil), 51, hostIfName("default."+p.Name),
				"forwarding")
			attach(t, "calico", newPod(t, fmt.Sprint("s2-next-", i)), nil)
			expectOK(t, "GC", ask(t, "calico", "GC", nil, valid(map[string]any{"name": "s2-suffers"})))
			must(t, os.WriteFile(sysctl, []byte("1"), 0o644))
			expectOK(t, "STATUS afterwards", ask(t, "calico", "STATUS", nil, nil))
			expectOK(t, "CHECK", check(t, "calico", p, nil, a))
		})
	}
}

// TestS3 fills a pool of two addresses. STATUS must report the exhaustion as soon as the last address is allocated.
func TestS3_StatusReportsExhaustionUntilItEnds(t *testing.T) {
	onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "s3", "10.80.0.0/31", 31)) })
	for _, plugin := range both {
		only4 := map[string]any{"ipam.assign_ipv6": "false", "name": "s3-" + plugin}
		status := func(what string) node.Answer { t.Helper(); return ask(t, plugin, "STATUS", nil, only4) }
		var pods []*node.Pod
		for i := range 3 {
			pods = append(pods, newPod(t, fmt.Sprintf("s3-%s-%d", plugin, i)))
		}
		attach(t, plugin, pods[0], only4)
		expectOK(t, plugin+" with one left", status("one left"))
		attach(t, plugin, pods[1], only4)
		expectError(t, plugin+" after the last", status("last"), 50, "10.80.0.0/31")
		expectError(t, plugin+" ADD", ask(t, plugin, "ADD", pods[2], only4), 11, "10.80.0.0/31")
		expectOK(t, "DEL after it, as runtimes call it", ask(t, plugin, "DEL", pods[2], only4))
		expectError(t, plugin+" after a failed ADD", status("failed ADD"), 50, "10.80.0.0/31")
		expectOK(t, "DEL", ask(t, plugin, "DEL", pods[0], only4))
		expectOK(t, plugin+" after a DEL", status("freed"))
		attach(t, plugin, pods[2], only4)
		expectError(t, plugin+" full again", status("again"), 50, "10.80.0.0/31")
		if plugin == both[0] {
			for i := range 2 {
				expectOK(t, "DEL", ask(t, plugin, "DEL", pods[i+1], only4))
			}
		}
	}
	// No command notices a new pool. STATUS looks for one when its information is ten seconds old.
	must(t, n.Datastore.CreatePool(t.Context(), "s3-more", "10.80.1.0/26", 26))
	age(t, "/var/run/calico/cni/trouble/s3-calico-ipam.json", 11*time.Second)
	expectOK(t, "STATUS with a new pool",
		ask(t, "calico-ipam", "STATUS", nil, map[string]any{"ipam.assign_ipv6": "false", "name": "s3-calico-ipam"}))
}

// age makes the files of STATUS older, to avoid a wait.
func age(t *testing.T, path string, by time.Duration) {
	t.Helper()
	var report map[string]any
	must(t, json.Unmarshal([]byte(read(path)), &report))
	report["confirmedSinceBoot"] = int64(report["confirmedSinceBoot"].(float64)) - int64(by)
	must(t, os.WriteFile(path, []byte(mustJSON(t, report)), 0o600))
}

func TestS4_StatusCallsIPAMPlugin(t *testing.T) {
	installed(t)
	log := script(t, n.BinDir(), "moody-ipam",
		`[ "$CNI_COMMAND" != STATUS ] || { echo '{"code":50,"msg":"not today"}'; exit 1; }`)
	expectError(t, "STATUS", ask(t, "calico", "STATUS", nil,
		map[string]any{"ipam": map[string]any{"type": "moody-ipam"}}), 50, "moody-ipam", "not today")
	if !strings.HasPrefix(read(log), "STATUS") {
		t.Errorf("the IPAM plugin got %q", read(log))
	}
	missing := map[string]any{"ipam": map[string]any{"type": "no-such-ipam"}}
	expectError(t, "STATUS without the plugin", ask(t, "calico", "STATUS", nil, missing), 50, "no-such-ipam")
	expectOK(t, "STATUS with host-local, which has none", ask(t, "calico", "STATUS", nil, hostLocal(t, "10.79.3.0/24")))
	expectOK(t, "STATUS by exec", ask(t, "calico", "STATUS", nil, map[string]any{"ipam.exec": true}))
}

// TestS5 ends an outage that STATUS has reported, and does not call STATUS again.
func TestS5_VerbsDoNotDependOnStatus(t *testing.T) {
	through := proxy.Start(t, n.Kubeconfig())
	p := newPod(t, "s5")
	for _, plugin := range both {
		named := map[string]any{"name": "s5-" + plugin, "kubernetes.kubeconfig": through.Kubeconfig(t, n.Kubeconfig())}
		through.Arm(&proxy.Fault{Status: http.StatusUnauthorized, Always: true})
		if a := ask(t, plugin, "ADD", p, named); a.Error.Code != 11 {
			t.Fatalf("ADD: %+v", a)
		}
		expectError(t, plugin+" STATUS", ask(t, plugin, "STATUS", nil, named), 50)
		through.Arm(nil)
		a := attach(t, plugin, p, named)
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a))
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named))
	}
}
