// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/test/node"
)

func TestV1_V2_V3_V4_VersionNeedsNoInputAndEchoesVersion(t *testing.T) {
	installed(t)
	alone := map[string]string{"CNI_IFNAME": "-", "CNI_PATH": "-", "PATH": "-"}
	for _, plugin := range both {
		for stdin, want := range map[string]string{
			"": "1.1.0", "{}": "1.1.0", `{"cniVersion":"0.3.1"}`: "0.3.1", `{"cniVersion":"1.0.0","name":5}`: "1.0.0",
		} {
			a, err := n.Run(t.Context(), node.Call{
				Plugin: plugin, Command: "VERSION", Env: alone,
				Stdin: []byte(stdin),
			})
			must(t, err)
			got := map[string]any{}
			must(t, json.Unmarshal([]byte(a.Stdout), &got))
			expectSame(t, plugin+" VERSION "+stdin,
				mustJSON(t, map[string]any{"cniVersion": want, "supportedVersions": specVersions}), mustJSON(t, got))
		}
	}
}

// shape replaces the values in JSON by their meaning, so that results can be compared.
func shape(t *testing.T, stdout string, p *node.Pod) string {
	t.Helper()
	var result map[string]any
	must(t, json.Unmarshal([]byte(stdout), &result))
	text := mustJSON(t, result)
	if interfaces, ok := result["interfaces"].([]any); ok {
		text = strings.ReplaceAll(text, interfaces[1].(map[string]any)["mac"].(string), "MAC")
	}
	ips, _ := result["ips"].([]any)
	for _, ip := range ips {
		address := ip.(map[string]any)["address"].(string)
		text = strings.ReplaceAll(text, address[:strings.Index(address, "/")],
			"ADDR"+fmt.Sprint(strings.Count(address, ":") > 0))
	}
	for key, name := range map[string]string{"ip4": "ADDRfalse", "ip6": "ADDRtrue"} {
		if section, ok := result[key].(map[string]any); ok {
			address := section["ip"].(string)
			text = strings.ReplaceAll(text, address[:strings.Index(address, "/")], name)
		}
	}
	text = strings.NewReplacer(p.NetNS, "NETNS", hostIfName("default."+p.Name), "HOST", "ADDRfalse", "V4", "ADDRtrue",
		"V6").Replace(text)
	return text
}

// TestA3_R1_R2_R3_R4 checks the result of one attachment in every version. Fields of later versions must be absent.
func TestA3_R1_R2_R3_R4_ResultsAreConvertedToEveryVersion(t *testing.T) {
	const (
		addrs     = `{"address":"V4/32","interface":1},{"address":"V6/128","interface":1}`
		versioned = `{"address":"V4/32","interface":1,"version":"4"},{"address":"V6/128","interface":1,"version":"6"}`
		inPod     = `{"name":"HOST"},{"mac":"MAC","name":"eth0","sandbox":"NETNS"}`
		old       = `"dns":{"domain":"a.example"},"ip4":{"ip":"V4/32","routes":[{"dst":"V4/26"}]},"ip6":{"ip":"V6/128","routes":[{"dst":"V6/122"}]}`
	)
	routes := `"routes":[{"dst":"V4/26"},{"dst":"V6/122"}]`
	want := map[string]string{
		"0.1.0": `{"cniVersion":"0.1.0",` + old + `}`,
		"0.2.0": `{"cniVersion":"0.2.0",` + old + `}`,
		"1.1.0": `{"cniVersion":"1.1.0","dns":{"domain":"a.example"},"interfaces":[{"name":"HOST"},{"mac":"MAC","mtu":1450,"name":"eth0","sandbox":"NETNS"}],"ips":[` + addrs + `],` + routes + `}`,
		"1.0.0": `{"cniVersion":"1.0.0","dns":{"domain":"a.example"},"interfaces":[` + inPod + `],"ips":[` + addrs +
			`],` + routes + `}`,
	}
	for _, v := range []string{"0.3.0", "0.3.1", "0.4.0"} {
		want[v] = `{"cniVersion":"` + v + `","dns":{"domain":"a.example"},"interfaces":[` + inPod + `],"ips":[` +
			versioned + `],` + routes + `}`
	}
	p := newPod(t, "r1")
	for _, version := range specVersions {
		changes := map[string]any{"cniVersion": version, "name": "r1", "dns": map[string]any{"domain": "a.example"}}
		a := attach(t, "calico", p, changes)
		// A route to the address's own block contains the block's first address.
		got := shape(t, a.Stdout, p)
		for _, route := range routesOf(t, a.Stdout) {
			got = strings.ReplaceAll(got, route,
				map[bool]string{false: "V4/26", true: "V6/122"}[strings.Contains(route, ":")])
		}
		expectSame(t, version, want[version], got)
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, changes))
	}
}

// routesOf returns the destinations of a result's routes.
func routesOf(t *testing.T, stdout string) []string {
	t.Helper()
	type routes []struct{ Dst string }
	var r struct {
		Routes   routes
		IP4, IP6 struct{ Routes routes }
	}
	must(t, json.Unmarshal([]byte(stdout), &r))
	var out []string
	for _, all := range []routes{r.Routes, r.IP4.Routes, r.IP6.Routes} {
		for _, route := range all {
			out = append(out, route.Dst)
		}
	}
	return out
}

// TestR4 uses an earlier plugin of the chain that returns every field of 1.1.0, and an IPAM plugin with routes of that
// version.
func TestR4_OlderResultsOmitFieldsOf110(t *testing.T) {
	p := newPod(t, "r4")
	script(t, n.BinDir(), "rich-ipam", `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0",
		"ips":[{"address":"10.78.2.9/24","gateway":"10.78.2.1"}],
"routes":[{"dst":"10.0.0.0/8","mtu":1400,"advmss":1360,"priority":5,"table":100,"scope":253}]}'`)
	previous := map[string]any{
		"cniVersion": "1.1.0",
		"interfaces": []any{map[string]any{"name": "first0", "mtu": 1400, "socketPath": "/s", "pciID": "0000:00:1f.6"}},
	}
	changes := map[string]any{"ipam": map[string]any{"type": "rich-ipam"}, "name": "r4", "prevResult": previous}
	later := []string{"mtu", "socketPath", "pciID", "advmss", "priority", "table", "scope"}
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		a := attach(t, "calico", p, plus(changes, "cniVersion", version))
		for _, key := range later {
			if got, want := strings.Contains(a.Stdout, `"`+key+`"`), version == "1.1.0"; got != want {
				t.Errorf("%s: %s is in the result: %t, want %t:\n%s", version, key, got, want, a.Stdout)
			}
		}
		if strings.Contains(a.Stdout, "10.78.2.1\"") {
			t.Errorf("%s: the gateway is in the result:\n%s", version, a.Stdout)
		}
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, plus(changes, "cniVersion", version)))
	}
}

func TestR5_PreviousResultsOfOlderVersions(t *testing.T) {
	p := newPod(t, "r5")
	for _, plugin := range both {
		for _, version := range []string{"0.4.0", "1.0.0", "1.1.0"} {
			old := map[string]any{"cniVersion": version, "name": "r5-" + plugin}
			a := attach(t, plugin, p, old)
			expectOK(t, plugin+" CHECK of "+version, check(t, plugin, p, plus(old, "cniVersion", "1.1.0"), a))
			expectOK(t, plugin+" DEL of "+version,
				ask(t, plugin, "DEL", p, plus(old, "prevResult", json.RawMessage(a.Stdout))))
		}
	}
	before := `{"cniVersion":"0.3.1","interfaces":[{"name":"first0"}],"ips":[{"version":"4","address":"192.0.2.9/24","interface":0}]}`
	a := attach(t, "calico", p, map[string]any{
		"cniVersion": "0.3.1", "name": "r5",
		"prevResult": json.RawMessage(before),
	})
	r := resultOf(t, a)
	if len(r.Interfaces) != 3 || len(r.IPs) != 3 || r.IPs[0].Address.String() != "192.0.2.9/24" ||
		*r.IPs[1].Interface != 2 {
		t.Errorf("result %s", a.Stdout)
	}
}

func TestP1_FirstPluginInPathIsUsed(t *testing.T) {
	p := newPod(t, "p1")
	first, second, empty := t.TempDir(), t.TempDir(), t.TempDir()
	answer := `[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.78.3.9/24"}]}'`
	logs := map[string]string{first: script(t, first, "p1-ipam", answer), second: script(t, second, "p1-ipam", answer)}
	changes := map[string]any{"ipam": map[string]any{"type": "p1-ipam"}, "name": "p1"}
	attach(t, "calico", p, changes, "CNI_PATH", strings.Join([]string{empty, first, second}, ":"))
	if got := read(logs[first]); got != "ADD "+first+"/p1-ipam\n" || read(logs[second]) != "" {
		t.Errorf("the first got %q, the second %q", got, read(logs[second]))
	}
	expectError(t, "ADD without the plugin", ask(t, "calico", "ADD", newPod(t, "p1-none"), changes, "CNI_PATH", empty),
		100, "p1-ipam", empty)
}

// TestP2_P3 uses an IPAM plugin that records its input.
func TestP2_P3_DelegateGetsWholeInputAndItsLogIsKept(t *testing.T) {
	p := newPod(t, "p2")
	dir := t.TempDir()
	script(t, n.BinDir(), "p2-ipam", `env | grep '^CNI_' | sort > `+dir+`/env-$CNI_COMMAND
cat > `+dir+`/stdin-$CNI_COMMAND
echo "p2-ipam says $CNI_COMMAND" >&2
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.1.0","ips":[{"address":"10.78.4.9/24"}]}'`)
	changes := map[string]any{
		"ipam": map[string]any{"type": "p2-ipam", "own": "key"}, "name": "p2",
		"vendor": map[string]any{"deep": []any{"x"}},
	}
	added := attach(t, "calico", p, changes)
	answers := map[string]node.Answer{
		"ADD": added, "CHECK": check(t, "calico", p, changes, added),
		"STATUS": ask(t, "calico", "STATUS", nil, changes), "DEL": ask(t, "calico", "DEL", p, changes),
	}
	for command, a := range answers {
		if a.Exit != 0 || !strings.Contains(a.Stderr, "p2-ipam says "+command) {
			t.Errorf("%s: %+v", command, a)
		}
		config, err := n.Config(changes)
		must(t, err)
		if command == "CHECK" {
			config["prevResult"] = json.RawMessage(added.Stdout)
		}
		var got, want any
		must(t, json.Unmarshal([]byte(read(filepath.Join(dir, "stdin-"+command))), &got))
		must(t, json.Unmarshal([]byte(mustJSON(t, config)), &want))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: configuration of the delegate (-want +got):\n%s", command, diff)
		}
		env := []string{
			"CNI_ARGS=" + p.Args(), "CNI_COMMAND=" + command, "CNI_CONTAINERID=" + p.ContainerID,
			"CNI_IFNAME=eth0", "CNI_NETNS=" + p.NetNS, "CNI_PATH=" + n.BinDir(),
		}
		if command == "STATUS" {
			env = []string{"CNI_COMMAND=STATUS", "CNI_IFNAME=eth0", "CNI_PATH=" + n.BinDir()}
		}
		expectSame(t, command+": environment of the delegate", strings.Join(env, "\n")+"\n",
			read(filepath.Join(dir, "env-"+command)))
	}
}

// TestP5 uses host-local for calico's pods with every verb.
func TestP5_CalicoWorksWithAnotherIPAMPlugin(t *testing.T) {
	p := newPod(t, "p5")
	changes := plus(hostLocal(t, "10.79.5.0/24"), "name", "p5")
	unchangedBut(t, "all verbs", withoutPod(p.Name), func() {
		a := attach(t, "calico", p, changes)
		got := addrs(t, resultOf(t, a))
		if len(got) != 1 || !strings.HasPrefix(got[0].String(), "10.79.5.") {
			t.Errorf("addresses %v", got)
		}
		ping(t, "host to pod", nil, got[0])
		expectPodIP(t, p, got[0].String()+"/32")
		expectOK(t, "CHECK", check(t, "calico", p, changes, a))
		expectOK(t, "STATUS", ask(t, "calico", "STATUS", nil, changes))
		expectOK(t, "GC", ask(t, "calico", "GC", nil, valid(changes, p.ContainerID, "eth0")))
		expectOK(t, "CHECK after GC", check(t, "calico", p, changes, a))
		expectOK(t, "DEL", ask(t, "calico", "DEL", p, changes))
		expectPodIP(t, p, "")
	})
}
