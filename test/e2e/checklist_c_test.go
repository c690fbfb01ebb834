// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// ofOthers has fields of a configuration that the plugins must ignore.
var ofOthers = map[string]any{
	"vendor.example/key": map[string]any{"deep": []any{1, "two", nil}}, "ipMasq": true, "bridge": "br0",
}

func TestC1_UnknownKeysAreIgnoredAndOneObjectIsRequired(t *testing.T) {
	p := newPod(t, "c1")
	for _, plugin := range both {
		attach(t, plugin, p, plus(ofOthers, "name", "c1-"+plugin), "CNI_IFNAME", "eth0")
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, plus(ofOthers, "name", "c1-"+plugin)))
		for _, stdin := range []string{"", "{", `["x"]`, `"x"`, "5", `{"name":"a"} {"name":"b"}`} {
			a, err := n.Run(t.Context(), node.Call{Plugin: plugin, Command: "ADD", Pod: p, Stdin: []byte(stdin)})
			must(t, err)
			expectError(t, plugin+" "+stdin, a, 6, "network configuration")
		}
	}
}

func TestC2_NetworkNameIsRequired(t *testing.T) {
	p := newPod(t, "c2")
	for _, plugin := range both {
		for _, command := range []string{"ADD", "STATUS"} {
			expectError(t, plugin+" no name", ask(t, plugin, command, p, map[string]any{"name": nil}), 7, "name")
			for _, name := range []string{"", "-a", ".a", "_a", "a/b", "a b", "ä", "a\n"} {
				expectError(t, fmt.Sprintf("%s %s %q", plugin, command, name),
					ask(t, plugin, command, p, map[string]any{"name": name}), 7, "name")
			}
		}
		for _, name := range []string{"a", "0", "A-b.c.d"} {
			expectOK(t, plugin+" STATUS "+name, ask(t, plugin, "STATUS", nil, map[string]any{"name": name}))
		}
		// The specification allows underscores, but with block IPAM the name is a prefix of the names of Kubernetes
		// objects.
		expectError(t, plugin+" underscore", ask(t, plugin, "STATUS", nil, map[string]any{"name": "a_b"}), 7, "name")
	}
}

func TestC3_RuntimeKeysAreNotUserKeys(t *testing.T) {
	p := newPod(t, "c3")
	for _, plugin := range both {
		changes := map[string]any{
			"name": "c3-" + plugin, "runtimeConfig": map[string]any{"unknown": 1},
			"args":               map[string]any{"vendor": map[string]any{"a": 1}},
			"cni.dev/attachment": map[string]any{"any": "thing"}, "cni.dev/valid-attachments": []any{},
		}
		a := attach(t, plugin, p, changes)
		expectOK(t, plugin+" CHECK", check(t, plugin, p, changes, a))
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, changes))
	}
}

func TestC4_ListKeysAreIgnored(t *testing.T) {
	p := newPod(t, "c4")
	list := map[string]any{
		"cniVersions": []any{"0.4.0", "1.1.0"}, "disableCheck": true, "disableGC": true, "loadOnlyInlinedPlugins": true,
		"plugins": []any{map[string]any{"type": "x"}}, "capabilities": map[string]any{"portMappings": true},
	}
	for _, plugin := range both {
		changes := plus(list, "name", "c4-"+plugin)
		a := attach(t, plugin, p, changes)
		expectOK(t, plugin+" CHECK", check(t, plugin, p, changes, a))
		expectOK(t, plugin+" STATUS", ask(t, plugin, "STATUS", nil, changes))
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(changes, p.ContainerID, "eth0")))
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, changes))
	}
}

func TestC5_AbsentVersionMeansFirstVersion(t *testing.T) {
	p := newPod(t, "c5")
	for _, plugin := range both {
		a := attach(t, plugin, p, map[string]any{"cniVersion": nil, "name": "c5-" + plugin})
		var r struct {
			CNIVersion string
			IP4        struct{ IP string }
		}
		must(t, json.Unmarshal([]byte(a.Stdout), &r))
		if r.CNIVersion != "0.1.0" || r.IP4.IP == "" {
			t.Errorf("%s: result %s, want version 0.1.0", plugin, a.Stdout)
		}
		expectOK(t, "DEL", ask(t, plugin, "DEL", p, map[string]any{"cniVersion": nil, "name": "c5-" + plugin}))
	}
}

func TestC6_UnsupportedVersionIsCode1AndListsSupported(t *testing.T) {
	p := newPod(t, "c6")
	for _, plugin := range both {
		for _, command := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS"} {
			for _, version := range []string{"1.2.0", "0.5.0", "2", "x"} {
				a := ask(t, plugin, command, p, map[string]any{"cniVersion": version})
				expectError(t, plugin+" "+command+" "+version, a, 1,
					append([]string{`"` + version + `"`}, specVersions...)...)
			}
		}
	}
}

func TestC7_InvalidVariableIsNamed(t *testing.T) {
	p := newPod(t, "c7")
	for _, plugin := range both {
		for name, values := range map[string][]string{
			"CNI_CONTAINERID": {"", "-", "../x", "a b", "_a", "a/b"},
			"CNI_IFNAME":      {"", "-", ".", "..", "a/b", "a:b", "a b", "sixteen-letters-"},
		} {
			for _, command := range []string{"ADD", "CHECK", "DEL"} {
				for _, value := range values {
					a := ask(t, plugin, command, p, nil, name, value)
					expectError(t, fmt.Sprintf("%s %s %s=%q", plugin, command, name, value), a, 4, name)
				}
			}
		}
		expectError(t, plugin, ask(t, plugin, "ADDD", p, nil), 4, "CNI_COMMAND", "ADDD")
	}
}

func TestC8_VerbsRequireOnlyTheirVariables(t *testing.T) {
	p := newPod(t, "c8")
	for _, plugin := range both {
		for command, required := range map[string][]string{
			"ADD":   {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
			"CHECK": {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
			"DEL":   {"CNI_CONTAINERID", "CNI_IFNAME"},
			"GC":    {"CNI_PATH"},
		} {
			for _, name := range required {
				expectError(t, plugin+" "+command+" without "+name, ask(t, plugin, command, p, nil, name, "-"), 4, name,
					command)
			}
		}
		expectError(t, plugin+" without CNI_COMMAND", ask(t, plugin, "", p, nil, "CNI_COMMAND", "-"), 4, "CNI_COMMAND")

		named := map[string]any{"name": "c8-" + plugin}
		a := attach(t, plugin, p, named, "CNI_PATH", "-", "CNI_ARGS", "-")
		expectOK(t, plugin+" CHECK", check(t, plugin, p, named, a, "CNI_PATH", "-", "CNI_ARGS", "-"))
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named, "CNI_PATH", "-", "CNI_ARGS", "-", "CNI_NETNS", "-"))
		expectOK(t, plugin+" STATUS", ask(t, plugin, "STATUS", nil, named, "CNI_PATH", "-", "CNI_IFNAME", "-", "PATH",
			"-"))
		expectOK(t, plugin+" GC", ask(t, plugin, "GC", nil, valid(named), "CNI_IFNAME", "-"))
	}
}

func TestC9_ErrorIsOneObjectInVersionOfConfiguration(t *testing.T) {
	p := newPod(t, "c9")
	for _, plugin := range both {
		for _, version := range specVersions {
			a := ask(t, plugin, "ADD", p, map[string]any{"cniVersion": version, "mtu": -1})
			expectError(t, plugin+" "+version, a, 7, "mtu")
			if a.Error.CNIVersion != version {
				t.Errorf("%s: the error has version %s, want %s", plugin, a.Error.CNIVersion, version)
			}
		}
	}
}

func TestC10_StandardOutputHasOnlyTheResult(t *testing.T) {
	p := newPod(t, "c10")
	for _, plugin := range both {
		loud := map[string]any{"log_level": "debug", "name": "c10-" + plugin}
		a := attach(t, plugin, p, loud)
		decoder := json.NewDecoder(strings.NewReader(a.Stdout))
		var result map[string]any
		must(t, decoder.Decode(&result))
		if err := decoder.Decode(&result); err != io.EOF {
			t.Errorf("%s: more than a result on standard output: %s", plugin, a.Stdout)
		}
		if a.Stderr == "" {
			t.Errorf("%s: no log on standard error", plugin)
		}
		expectOK(t, plugin+" CHECK", check(t, plugin, p, loud, a))
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, loud))
	}
}

func TestC11_ErrorsHaveCodesOfTheSpecification(t *testing.T) {
	p := newPod(t, "c11")
	garbage := kubeconfig(t, "://"+secret)
	for _, plugin := range both {
		for _, r := range []refusal{
			{name: "version", changes: map[string]any{"cniVersion": "9.9.9"}, code: 1},
			{
				name:    "field that is not supported, with its value",
				changes: map[string]any{"datastore_type": "etcdv3"},
				code:    2, says: []string{"datastore_type", "etcdv3"},
			},
			{name: "environment", env: []string{"CNI_IFNAME", "a/b"}, code: 4},
			{
				name: "file that cannot be used", changes: map[string]any{"kubernetes.kubeconfig": garbage}, code: 5,
				says: []string{garbage},
			},
			{name: "type of a field", changes: map[string]any{"mtu": "x"}, code: 6, says: []string{"mtu"}},
			{name: "value of a field", changes: map[string]any{"mtu": -1}, code: 7, says: []string{"mtu"}},
			{
				name: "later", changes: map[string]any{"kubernetes.kubeconfig": "/nowhere/kubeconfig"}, code: 11,
				says: []string{"/nowhere/kubeconfig"},
			},
			{
				name: "our own", changes: map[string]any{"ipam.ipv4_pools": []string{"no-such-pool"}}, code: 102,
				says: []string{"no-such-pool"},
			},
		} {
			expectError(t, plugin+": "+r.name, ask(t, plugin, "ADD", p, r.changes, r.env...), r.code, r.says...)
		}
	}
}

func TestC12_UnknownArgumentsAreRejectedUnlessIgnored(t *testing.T) {
	p := newPod(t, "c12")
	for _, plugin := range both {
		for _, wrong := range []string{
			"WHAT=1", "WHAT=1;IgnoreUnknown=0", "K8S_POD_NAME", "=1",
			"IgnoreUnknown=perhaps", "IP=10.0.0.0/8", "K8S_POD_NAME=a",
		} {
			expectError(t, plugin+" "+wrong, ask(t, plugin, "ADD", p, nil, "CNI_ARGS", wrong), 4, "CNI_ARGS")
			expectOK(t, plugin+" DEL "+wrong, ask(t, plugin, "DEL", p, nil, "CNI_ARGS", wrong))
		}
		for _, right := range []string{"WHAT=1;IgnoreUnknown=1", "IgnoreUnknown=true;WHAT=a=b", ""} {
			named := map[string]any{"name": "c12-" + plugin}
			attach(t, plugin, p, named, "CNI_ARGS", right)
			expectOK(t, plugin+" DEL "+right, ask(t, plugin, "DEL", p, named, "CNI_ARGS", right))
		}
	}
}

func TestC13_HostNamespaceIsRejected(t *testing.T) {
	p := newPod(t, "c13")
	own := []string{"CNI_NETNS", "/proc/self/ns/net"}
	override := append(own, "CNI_NETNS_OVERRIDE", "1")
	for _, plugin := range both {
		expectError(t, plugin, ask(t, plugin, "ADD", p, nil, own...), 4, "CNI_NETNS", "own network namespace")
	}
	// The override is for plugins that work on the host. The data plane of calico rejects it.
	unchanged(t, "ADD into the host's own namespace", func() {
		expectError(t, "overridden", ask(t, "calico", "ADD", p, nil, override...), 4, "/proc/self/ns/net",
			"a pod needs a separate one")
	})
	attach(t, "calico-ipam", p, map[string]any{"name": "c13"}, override...)
}

func TestC15_GCKeepsAttachmentsAddedMeanwhile(t *testing.T) {
	p, gone := newPod(t, "c15"), newPod(t, "c15-gone")
	for _, plugin := range both {
		through := proxy.Start(t, n.Kubeconfig())
		named := map[string]any{"name": "c15-" + plugin}
		attach(t, plugin, gone, named)
		until := make(chan struct{})
		through.Arm(holding("GET", "/ipamconfigs/default", until))
		collected := make(chan node.Answer)
		go func() {
			collected <- ask(t, plugin, "GC", nil,
				valid(plus(named, "kubernetes.kubeconfig", through.Kubeconfig(t, n.Kubeconfig()))))
		}()
		await(t, "the collection to begin", through.Fired)
		a := attach(t, plugin, p, named)
		close(until)
		expectOK(t, plugin+" GC", <-collected)
		expectOK(t, plugin+" CHECK of what came meanwhile", check(t, plugin, p, named, a))
		if s := state(t); strings.Contains(s, handleOf(named["name"].(string), gone)) {
			t.Errorf("%s: GC did nothing:\n%s", plugin, s)
		}
		expectOK(t, plugin+" DEL", ask(t, plugin, "DEL", p, named))
	}
}
