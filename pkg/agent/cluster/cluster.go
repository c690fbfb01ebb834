// SPDX-License-Identifier: Apache-2.0

// Package cluster knows the objects of the cluster that a node needs: nodes, pools, blocks, and the pods of the node.
// Without network policies it watches nothing that grows with the number of pods, except for the blocks: they say which
// addresses are borrowed.
package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/endpoint"
	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/model"
	"calico-cni/pkg/watch"
)

// Options configure a Cluster.
type Options struct {
	Connection *watch.Connection
	// Node is the name of this node.
	Node string
	// Group and Version are those of Calico's objects.
	Group, Version string
	// Changed is called after each change. It must not block.
	Changed func()
	// Failed is called when the watch of a kind fails, and with nil when it works again.
	Failed func(kind string, err error)
	Now    func() time.Time
}

// Cluster has a table for each kind of object.
type Cluster struct {
	node      string
	nodes     *watch.Table[*metav1.PartialObjectMetadata, row[model.Node]]
	pods      *watch.Table[*metav1.PartialObjectMetadata, row[endpoint.Endpoint]]
	pools     *watch.Table[*watch.Object[spec.IPPool], row[model.Pool]]
	blocks    *watch.Table[*watch.Object[model.BlockFields], row[model.Block]]
	own       *watch.Table[*metav1.PartialObjectMetadata, Own]
	felix     *watch.Table[*watch.Object[json.RawMessage], config.Object]
	sources   []*watch.Source
	completed []func() bool
}

// Snapshot is the cluster at one time. It shares nothing with the tables.
type Snapshot struct {
	Nodes     []model.Node
	Pools     []model.Pool
	Blocks    []model.Block
	Endpoints []endpoint.Endpoint
	// Own is the object of this node.
	Own Own
	// Felix are the FelixConfiguration objects.
	Felix []config.Object
	// Findings are the problems of objects.
	Findings []model.Finding
}

// New returns a cluster with empty tables. Run fills them.
func New(o Options) (*Cluster, error) {
	c := &Cluster{
		node:   o.Node,
		nodes:  watch.NewTable(nodeRow, equalRows(equal[model.Node]), o.Changed),
		pods:   watch.NewTable(podRow, equalRows(endpoint.Endpoint.Equal), o.Changed),
		pools:  watch.NewTable(poolRow, equalRows(equal[model.Pool]), o.Changed),
		blocks: watch.NewTable(blockRow, equalRows(model.Block.Equal), o.Changed),
		felix:  watch.NewTable(felixObject, equalObjects, o.Changed),
		own:    watch.NewTable(own, Own.equal, o.Changed),
	}
	pools := watch.Kind{Group: o.Group, Version: o.Version, Name: "IPPool", Plural: "ippools"}
	blocks := watch.Kind{Group: o.Group, Version: o.Version, Name: "IPAMBlock", Plural: "ipamblocks"}
	pods := watch.Kind{Version: "v1", Name: "Pod", Plural: "pods", Selector: "spec.nodeName=" + o.Node}
	nodes := watch.Kind{Version: "v1", Name: "Node", Plural: "nodes"}
	self := watch.Kind{Version: "v1", Name: "Node", Plural: "nodes", Selector: "metadata.name=" + o.Node}
	felix := watch.Kind{Group: o.Group, Version: o.Version, Name: "FelixConfiguration", Plural: "felixconfigurations"}
	for _, add := range []func() error{
		func() error { return c.add(o, nodes, c.nodes, c.nodes.Synced, o.Connection.Metadata) },
		func() error { return c.add(o, self, c.own, c.own.Synced, o.Connection.Metadata) },
		func() error { return c.add(o, felix, c.felix, c.felix.Synced, contents[json.RawMessage](o)) },
		func() error { return c.add(o, pods, c.pods, c.pods.Synced, o.Connection.Metadata) },
		func() error { return c.add(o, pools, c.pools, c.pools.Synced, contents[spec.IPPool](o)) },
		func() error { return c.add(o, blocks, c.blocks, c.blocks.Synced, contents[model.BlockFields](o)) },
	} {
		if err := add(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// contents returns the constructor of clients that read the content of objects.
func contents[S any](o Options) func(watch.Kind) (watch.Client, error) {
	return func(k watch.Kind) (watch.Client, error) { return watch.Contents[S](o.Connection, k) }
}

// optional is the kind that a cluster may lack: without it, nothing is configured.
const optional = "felixconfigurations"

// add adds the source of a table.
func (c *Cluster) add(o Options, k watch.Kind, table cache.ReflectorStore, synced func() bool,
	connect func(watch.Kind) (watch.Client, error),
) error {
	client, err := connect(k)
	if err != nil {
		return err
	}
	c.completed = append(c.completed, synced)
	c.sources = append(c.sources, &watch.Source{
		Kind: k.Name, Client: client, Store: table, Now: o.Now, Optional: k.Plural == optional,
		Failed: func(err error) { o.Failed(k.Name, err) },
	})
	return nil
}

// Run fills the tables until the context ends.
func (c *Cluster) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, s := range c.sources {
		group.Go(func() { s.Run(ctx) })
	}
	group.Wait()
}

// Missing returns the kinds whose tables have not been complete yet.
func (c *Cluster) Missing() (kinds []string) {
	for i, s := range c.sources {
		if !c.completed[i]() {
			kinds = append(kinds, s.Kind)
		}
	}
	return kinds
}

// Faults says which tables may be stale, one line each.
func (c *Cluster) Faults() (lines []string) {
	for _, s := range c.sources {
		if since, err := s.Fault(); err != nil {
			lines = append(lines, fmt.Sprintf("%v (since %s)", err, since.UTC().Format(time.RFC3339)))
		}
	}
	return lines
}

// Snapshot returns the current values.
func (c *Cluster) Snapshot() Snapshot {
	var s Snapshot
	s.Nodes, s.Findings = collect(c.nodes.Values(), s.Findings)
	s.Pools, s.Findings = collect(c.pools.Values(), s.Findings)
	s.Blocks, s.Findings = collect(c.blocks.Values(), s.Findings)
	s.Endpoints, s.Findings = collect(c.pods.Values(), s.Findings)
	s.Own = c.own.Values()[c.node]
	s.Felix = slices.Collect(maps.Values(c.felix.Values()))
	slices.SortFunc(s.Findings, func(a, b model.Finding) int { return strings.Compare(a.String(), b.String()) })
	return s
}

// row is the result of a conversion.
type row[V any] struct {
	value    V
	ok       bool
	findings []model.Finding
}

// collect returns the values of rows, and adds their findings to others.
func collect[V any](rows map[string]row[V], findings []model.Finding) ([]V, []model.Finding) {
	values := make([]V, 0, len(rows))
	for r := range maps.Values(rows) {
		findings = append(findings, r.findings...)
		if r.ok {
			values = append(values, r.value)
		}
	}
	return values, findings
}

func equal[V comparable](a, b V) bool { return a == b }

func equalRows[V any](same func(a, b V) bool) func(a, b row[V]) bool {
	return func(a, b row[V]) bool {
		return a.ok == b.ok && same(a.value, b.value) && slices.Equal(a.findings, b.findings)
	}
}

func nodeRow(o *metav1.PartialObjectMetadata) row[model.Node] {
	node, findings := model.ConvertNode(model.NodeFields{Name: o.Name, Annotations: o.Annotations})
	return row[model.Node]{value: node, ok: true, findings: findings}
}

func podRow(o *metav1.PartialObjectMetadata) row[endpoint.Endpoint] {
	e, ok := endpoint.FromPod(o.Namespace, o.Name, o.Annotations)
	return row[endpoint.Endpoint]{value: e, ok: ok}
}

func poolRow(o *watch.Object[spec.IPPool]) row[model.Pool] {
	pool, ok, findings := model.ConvertPool(o.Name, &o.Spec)
	return row[model.Pool]{value: pool, ok: ok, findings: findings}
}

func blockRow(o *watch.Object[model.BlockFields]) row[model.Block] {
	block, ok, findings := model.ConvertBlock(o.Name, &o.Spec)
	return row[model.Block]{value: block, ok: ok, findings: findings}
}

// Own is what the agent needs of the Node object of its own node.
type Own struct{ Labels, Annotations map[string]string }

func own(o *metav1.PartialObjectMetadata) Own {
	return Own{Labels: o.Labels, Annotations: o.Annotations}
}

func (o Own) equal(p Own) bool {
	return maps.Equal(o.Labels, p.Labels) && maps.Equal(o.Annotations, p.Annotations)
}

func felixObject(o *watch.Object[json.RawMessage]) config.Object {
	return config.Object{Name: o.Name, Created: o.CreationTimestamp.Time, Spec: o.Spec}
}

func equalObjects(a, b config.Object) bool {
	return a.Created.Equal(b.Created) && string(a.Spec) == string(b.Spec)
}
