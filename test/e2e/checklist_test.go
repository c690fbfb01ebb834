// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// The files checklist_*_test.go test the rows of the check-list of the CNI specification. test/README.md explains the
// IDs in the names of the tests.

// both are the binaries that implement the specification.
var both = []string{"calico", "calico-ipam"}

// specVersions are the versions of the specification.
var specVersions = []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// ask calls a plugin with changes to the configuration. Without a pod the environment is that of a command for the
// node.
func ask(t *testing.T, plugin, command string, p *node.Pod, changes map[string]any, env ...string) node.Answer {
	t.Helper()
	config, err := n.Config(changes)
	must(t, err)
	c := node.Call{Plugin: plugin, Command: command, Pod: p, Config: config, Env: map[string]string{}}
	for i := 0; i < len(env); i += 2 {
		c.Env[env[i]] = env[i+1]
	}
	a, err := n.Run(withoutCancel(t.Context()), c)
	must(t, err)
	return a
}

// plus returns changes with additional keys.
func plus(changes map[string]any, more ...any) map[string]any {
	out := maps.Clone(changes)
	if out == nil {
		out = map[string]any{}
	}
	for i := 0; i < len(more); i += 2 {
		out[more[i].(string)] = more[i+1]
	}
	return out
}

// attach calls ADD, expects success, and calls DEL when the test ends.
func attach(t *testing.T, plugin string, p *node.Pod, changes map[string]any, env ...string) node.Answer {
	t.Helper()
	a := ask(t, plugin, "ADD", p, changes, env...)
	if a.Exit != 0 {
		t.Fatalf("ADD of %s: %s\n%s", plugin, a.Stdout, a.Stderr)
	}
	t.Cleanup(func() { expectOK(t, "DEL at the end", ask(t, plugin, "DEL", p, changes, env...)) })
	return a
}

// resultOf decodes the result of an ADD.
func resultOf(t testing.TB, a node.Answer) *current.Result {
	t.Helper()
	r := &current.Result{}
	if err := json.Unmarshal([]byte(a.Stdout), r); err != nil {
		t.Fatalf("result %q: %v", a.Stdout, err)
	}
	return r
}

// check calls CHECK like a runtime: with the configuration and the result of the ADD.
func check(t *testing.T, plugin string, p *node.Pod, changes map[string]any, added node.Answer,
	env ...string,
) node.Answer {
	t.Helper()
	return ask(t, plugin, "CHECK", p, plus(changes, "prevResult", json.RawMessage(added.Stdout)), env...)
}

// valid returns the configuration of a GC with valid attachments, given as alternating container IDs and interface
// names.
func valid(changes map[string]any, attachments ...string) map[string]any {
	list := []any{}
	for i := 0; i < len(attachments); i += 2 {
		list = append(list, map[string]any{"containerID": attachments[i], "ifname": attachments[i+1]})
	}
	return plus(changes, "cni.dev/valid-attachments", list)
}

// expectOK expects success without output.
func expectOK(t testing.TB, what string, a node.Answer) {
	t.Helper()
	if a.Exit != 0 || a.Stdout != "" {
		t.Errorf("%s: exit %d, want 0 and no output: %s\n%s", what, a.Exit, a.Stdout, a.Stderr)
	}
}

// expectError expects one error object on one line, with a code and the given parts of the message.
func expectError(t testing.TB, what string, a node.Answer, code uint, says ...string) {
	t.Helper()
	if a.Exit != 1 || a.Error.Code != code {
		t.Errorf("%s: exit %d, code %d, want 1 and %d: %s\n%s", what, a.Exit, a.Error.Code, code, a.Stdout, a.Stderr)
		return
	}
	for _, part := range says {
		if !strings.Contains(a.Error.Msg, part) {
			t.Errorf("%s: message does not contain %q: %s", what, part, a.Error.Msg)
		}
	}
	if a.Error.CNIVersion == "" || strings.Contains(a.Error.Msg, "\n") || strings.Count(a.Stdout, "\n") > 1 {
		t.Errorf("%s: not one error object on one line: %q", what, a.Stdout)
	}
}

// hasLink reports whether the node has an interface.
func hasLink(name string) bool {
	_, err := netlink.LinkByName(name)
	return err == nil
}

// tool installs a plugin of another project beside ours.
func tool(t *testing.T, name string) {
	t.Helper()
	installed(t)
	data, err := os.ReadFile(filepath.Join(n.Tools, name))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(n.BinDir(), name), data, 0o755))
}

// script creates an IPAM plugin as a shell script in a directory. It logs the command and the directory of each call to
// the returned file, and then runs the lines.
func script(t *testing.T, dir, name, lines string) (log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "calls")
	text := "#!/bin/sh\nexec 3>>" + log + "\necho \"$CNI_COMMAND $0\" >&3\n" + lines + "\n"
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	t.Cleanup(func() { must(t, os.Remove(filepath.Join(dir, name))) })
	return log
}

// read returns the text of a file, or "" if it is missing.
func read(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}

// hostLocal returns a configuration with host-local instead of block IPAM.
func hostLocal(t *testing.T, subnet string) map[string]any {
	t.Helper()
	tool(t, "host-local")
	return map[string]any{"ipam": map[string]any{
		"type": "host-local", "dataDir": t.TempDir(), "ranges": []any{[]any{map[string]any{"subnet": subnet}}},
	}}
}

// handleOf returns the representation of a container's handle in the state.
func handleOf(network string, p *node.Pod) string {
	return "handle " + network + "." + p.ContainerID + "\n"
}

// holding delays the first request of a kind until the channel is closed.
func holding(method, path string, until <-chan struct{}) *proxy.Fault {
	return &proxy.Fault{
		Matches: func(m, p string) bool { return m == method && strings.Contains(p, path) }, Stall: time.Minute,
		Until: until,
	}
}

// await waits until a condition is true.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timeout waiting for %s", what)
		}
	}
}

// hostIfName returns the host interface name of "<namespace>.<pod>".
func hostIfName(pod string) string {
	sum := sha1.Sum([]byte(pod))
	return "cali" + hex.EncodeToString(sum[:])[:11]
}

// masked returns an address with a prefix length, as in the routes of a result.
func masked(addr string, bits int) string { return fmt.Sprintf("%s/%d", addr, bits) }

func mustJSON(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

// withoutHolder removes the addresses of a pod from a state.
func withoutHolder(pod string) func(string) string {
	return func(state string) string {
		var lines []string
		for _, line := range strings.Split(state, "\n") {
			if !strings.Contains(line, `"pod":"`+pod+`"`) {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "\n")
	}
}

// expectSame compares two states.
func expectSame(t testing.TB, what, before, after string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("%s (-before +after):\n%s", what, diff)
	}
}
