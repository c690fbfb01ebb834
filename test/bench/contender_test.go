// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"calico-cni/test/node"
	"calico-cni/test/proxy"
)

// The names of the two permanent contenders. The first is compared with the second.
const (
	ours = "calico"
	peer = "ptp + host-local"
)

// verbs are the measured verbs, in order.
var verbs = []string{"ADD", "DEL"}

// contender is a measured plugin.
type contender struct {
	name string
	// dir contains its binary, plugin, and the binaries that it calls.
	dir, plugin string
	config      []byte
	// counted is the configuration that uses the proxy, nil for a plugin that makes no API requests.
	counted []byte
}

// contenders returns calico, ptp, and the peer in PEER_BIN, a directory with the binaries calico and calico-ipam of
// another implementation.
func contenders(t *testing.T, n *node.Node, p *proxy.Proxy) []contender {
	t.Helper()
	direct, counted := calicoConfig(t, n, n.Kubeconfig()), calicoConfig(t, n, p.Kubeconfig(t, n.Kubeconfig()))
	all := []contender{
		{name: ours, dir: n.BinDir(), plugin: "calico", config: direct, counted: counted},
		{name: peer, dir: n.Tools, plugin: "ptp", config: encode(t, map[string]any{
			"cniVersion": "1.1.0", "name": "ptp", "type": "ptp", "mtu": 1450,
			"ipam": map[string]any{
				"type": "host-local", "dataDir": "/run/leases",
				"ranges": []any{[]any{map[string]any{"subnet": "10.200.0.0/16"}}},
				"routes": []any{map[string]any{"dst": "0.0.0.0/0"}},
			},
		})},
	}
	if dir := os.Getenv("PEER_BIN"); dir != "" {
		all = append(all, contender{
			name: "calico of PEER_BIN", dir: dir, plugin: "calico", config: direct,
			counted: counted,
		})
	}
	return all
}

func calicoConfig(t *testing.T, n *node.Node, kubeconfig string) []byte {
	t.Helper()
	config, err := n.Config(map[string]any{"kubernetes.kubeconfig": kubeconfig})
	must(t, err)
	return encode(t, config)
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return data
}

// spent is the cost of a call in milliseconds: elapsed time, and CPU time of the process and its children (user and
// system).
type spent struct{ wall, cpu float64 }

// command returns a call of the plugin that is ready to be started.
func (c contender) command(verb string, p *node.Pod, config []byte) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.dir, c.plugin))
	cmd.Stdin = bytes.NewReader(config)
	cmd.Env = []string{
		"CNI_COMMAND=" + verb, "CNI_IFNAME=eth0", "CNI_PATH=" + c.dir, "PATH=" + os.Getenv("PATH"),
		"CNI_CONTAINERID=" + p.ContainerID, "CNI_NETNS=" + p.NetNS, "CNI_ARGS=" + p.Args(),
	}
	return cmd
}

// call calls the plugin and returns the cost.
func (c contender) call(verb string, p *node.Pod, config []byte) (spent, error) {
	cmd := c.command(verb, p, config)
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	started := time.Now()
	err := cmd.Run()
	took := time.Since(started)
	if err != nil {
		return spent{}, fmt.Errorf("%s of %s: %w: %s", verb, c.name, err, stdout.String())
	}
	return spent{ms(took), ms(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime())}, nil
}

// peak returns the peak memory of the largest process of a call, in MiB.
func (c contender) peak(t *testing.T, tools, verb string, p *node.Pod) float64 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "peak")
	cmd := c.command(verb, p, c.config)
	cmd.Path, cmd.Args = filepath.Join(tools, "peak"), []string{"peak", file, cmd.Path}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	data, err := os.ReadFile(file)
	must(t, err)
	var kib float64
	_, err = fmt.Sscan(string(data), &kib)
	must(t, err)
	return kib / 1024
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// figures are the costs of several calls, by verb and contender.
type figures map[string]map[string]*series

// series has the costs of several calls of one verb by one contender.
type series struct{ wall, cpu sample }

func (f figures) add(verb, contender string, s spent) {
	if f[verb] == nil {
		f[verb] = map[string]*series{}
	}
	if f[verb][contender] == nil {
		f[verb][contender] = &series{}
	}
	at := f[verb][contender]
	at.wall, at.cpu = append(at.wall, s.wall), append(at.cpu, s.cpu)
}

// alternate calls f for every contender in turn, n times, in alternating order.
func alternate(all []contender, n int, f func(turn int, c contender)) {
	for turn := range n {
		order := slices.Clone(all)
		if turn%2 == 1 {
			slices.Reverse(order)
		}
		for _, c := range order {
			f(turn, c)
		}
	}
}
