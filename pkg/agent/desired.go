// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"calico-cni/pkg/agent/cluster"
	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/endpoint"
	"calico-cni/pkg/agent/underlay"
	"calico-cni/pkg/model"
	"calico-cni/pkg/routing"
)

// Desired is what the drivers apply.
type Desired struct {
	routing.Result
	Config config.Config
	// Endpoints are the pods of the node whose interface exists.
	Endpoints []routing.Endpoint
	// Files are the status files of the endpoints whose interface exists, by name.
	Files map[string][]byte
}

// inputs computes the desired state from the cluster, the configuration and the host's network.
type inputs struct {
	node    string
	cluster *cluster.Cluster
	// env and file are the sources of the configuration besides the cluster.
	env  map[string]string
	file []byte

	// stale says that the host's network has changed since it was read.
	stale   atomic.Bool
	network underlay.Network
	parents parents

	mu sync.Mutex
	// snapshot is that of the last computation. computed says that there was one.
	snapshot cluster.Snapshot
	computed bool
	config   config.Result
	findings []model.Finding
	err      error
}

// hostChanged makes the next computation read the host's network again.
func (in *inputs) hostChanged() { in.stale.Store(true) }

// desired returns the newest desired state. It returns false until all tables are complete and the host's network can
// be read.
func (in *inputs) desired() (Desired, bool) {
	if len(in.cluster.Missing()) > 0 {
		return Desired{}, false
	}
	if in.stale.Swap(false) {
		network, err := underlay.Read()
		if err != nil {
			in.stale.Store(true)
			in.fail(err)
			return Desired{}, false
		}
		in.network = network
	}
	snapshot := in.cluster.Snapshot()
	resolved := config.Resolve(config.Sources{
		Node: in.node, Labels: snapshot.Own.Labels, Env: in.env, File: in.file, Objects: snapshot.Felix,
	})
	d := in.compute(snapshot, resolved)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.snapshot, in.computed, in.config = snapshot, true, resolved
	in.findings, in.err = append(snapshot.Findings, d.Findings...), nil
	return d, true
}

func (in *inputs) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
}

func (in *inputs) compute(s cluster.Snapshot, resolved config.Result) Desired {
	c := resolved.Config
	input := routing.Input{
		Node: in.node, Nodes: s.Nodes, Pools: s.Pools, Blocks: s.Blocks, Config: settings(resolved),
	}
	for _, n := range s.Nodes {
		if n.Name == in.node {
			input.IPv4 = in.parents.find(&in.network, n.IPv4.Addr.Addr())
			input.IPv6 = in.parents.find(&in.network, n.IPv6.Addr.Addr())
		}
	}
	for _, l := range in.mtuLinks(c) {
		input.Links = append(input.Links, routing.Link{Name: l.Name, MTU: l.MTU})
	}
	d := Desired{Config: c, Files: map[string][]byte{}}
	for _, e := range s.Endpoints {
		in.addEndpoint(e, c.Interfaces.Prefixes[0], &d)
	}
	sortEndpoints(d.Endpoints)
	input.Endpoints = d.Endpoints
	d.Result = routing.Compute(input)
	sortState(&d.State)
	return d
}

// mtuLinks returns the links, besides those of the node's addresses, whose MTU bounds that of pods.
func (in *inputs) mtuLinks(c config.Config) []underlay.Link {
	if c.MTU.HostPattern == "" {
		return in.network.Defaults()
	}
	// The configuration has only valid expressions.
	wanted, err := regexp.Compile(c.MTU.HostPattern)
	if err != nil {
		return nil
	}
	excluded, err := regexp.Compile(c.Interfaces.Exclude)
	if err != nil {
		return nil
	}
	return in.network.Matching(func(name string) bool {
		return wanted.MatchString(name) && (c.Interfaces.Exclude == "" || !excluded.MatchString(name))
	})
}

// addEndpoint adds an endpoint if its interface exists. The annotations of a pod can be newer or older than that.
func (in *inputs) addEndpoint(e endpoint.Endpoint, prefix string, d *Desired) {
	name := e.HostIfName(prefix)
	l, ok := in.network.ByName(name)
	if !ok {
		return
	}
	d.Endpoints = append(d.Endpoints, routing.Endpoint{Interface: name, Index: l.Index, Addrs: e.Addrs})
	file, content := e.StatusFile(prefix)
	d.Files[file] = content
}

// last returns the snapshot of the last computation. It returns false before the first one: the tables can be complete
// already, but an empty snapshot would look like a cluster without pools.
func (in *inputs) last() (cluster.Snapshot, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.snapshot, in.computed
}

// resync returns the interval of the comparison of the whole state with the kernel: the shortest that is configured.
func (in *inputs) resync() time.Duration {
	in.mu.Lock()
	defer in.mu.Unlock()
	var shortest time.Duration
	c := in.config.Config
	for _, d := range []time.Duration{c.Routes.RefreshInterval, c.Interfaces.RefreshInterval, c.NAT.RefreshInterval} {
		if d > 0 && (shortest == 0 || d < shortest) {
			shortest = d
		}
	}
	return shortest
}

// problems returns why there is no desired state, and the findings of the last one.
func (in *inputs) problems() (lines, findings []string) {
	for _, kind := range in.cluster.Missing() {
		lines = append(lines, "waiting for the first list of "+kind)
	}
	lines = append(lines, in.cluster.Faults()...)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		lines = append(lines, in.err.Error())
	}
	for _, f := range in.config.Findings {
		findings = append(findings, f.String())
	}
	for _, f := range in.findings {
		findings = append(findings, f.String())
	}
	return lines, findings
}
