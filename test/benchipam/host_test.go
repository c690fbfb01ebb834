// SPDX-License-Identifier: Apache-2.0

package benchipam

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"calico-cni/test/node"
)

// host is a node, from the point of view of the plugins.
type host struct {
	b *bench
	s situation
	// name is the node's name, lock the lock file of its commands.
	name, lock string
	// counted says that the node's calls use the proxy. The block cache belongs to one server.
	counted bool
	// before runs before the measured call.
	before func()
	pods   map[string]*node.Pod
}

// hosts returns new nodes for a situation. The first ones are counted. Their names, and therefore their walks, are
// always the same.
func (b *bench) hosts(s situation, n, counted int) []*host {
	id := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s.name))
	var hosts []*host
	for i := range n {
		hosts = append(hosts, &host{
			b: b, s: s, name: fmt.Sprintf("%s-%d-%d", id, b.stage, i), lock: filepath.Join(b.TempDir(), "lock"),
			counted: i < counted, before: func() {}, pods: map[string]*node.Pod{},
		})
	}
	return hosts
}

// pod returns the node's pod with that name. A pod for `calico` has an object and a network namespace.
func (h *host) pod(name string) *node.Pod {
	h.b.Helper()
	if p := h.pods[name]; p != nil {
		return p
	}
	full := h.name + "-" + name
	p := &node.Pod{Name: full, ContainerID: full, UID: full, NetNS: "/run/netns/none"}
	if h.s.plugin != "" {
		var err error
		p, err = h.b.node.CreatePod(h.b.Context(), full)
		must(h.b.T, err)
	}
	h.pods[name] = p
	return p
}

// call calls the situation's plugin for a pod, with or without the proxy, and expects the situation's result.
func (h *host) call(verb string, p *node.Pod) {
	h.b.Helper()
	pools := h.b.pools
	changes := map[string]any{
		"nodename": h.name, "nodename_file_optional": true, "ipam_lock_file": h.lock,
		"ipam.assign_ipv6": fmt.Sprint(h.s.dual),
		"ipam.ipv4_pools":  []string{pools[h.s.pool].Name}, "ipam.ipv6_pools": []string{pools[wide6].Name},
	}
	if h.counted {
		changes["kubernetes.kubeconfig"] = h.b.counted
	}
	config, err := h.b.node.Config(changes)
	must(h.b.T, err)
	a, err := h.b.node.Run(h.b.Context(), node.Call{
		Plugin: cmp.Or(h.s.plugin, "calico-ipam"), Command: verb, Pod: p,
		Config: config,
	})
	must(h.b.T, err)
	h.expect(verb, a)
}

// expect checks the result of a call, so that no other cost is measured by mistake.
func (h *host) expect(verb string, a node.Answer) {
	h.b.Helper()
	var result struct{ IPs []json.RawMessage }
	switch {
	case h.s.refused && a.Exit != 0 && strings.Contains(a.Error.Msg, "no address available"):
	case h.s.refused || a.Exit != 0:
		h.b.Fatalf("%s on %s: %+v", verb, h.name, a)
	case verb == "ADD":
		must(h.b.T, json.Unmarshal([]byte(a.Stdout), &result))
		if want := map[bool]int{false: 1, true: 2}[h.s.dual]; len(result.IPs) != want {
			h.b.Fatalf("ADD on %s returned %s, want %d addresses", h.name, a.Stdout, want)
		}
	}
}
