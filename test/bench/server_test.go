// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// serverCost is the CPU time of the API server with its etcd, in milliseconds.
type serverCost struct {
	// pod is for an ADD and a DEL, by contender; mix is for one run of the mix of plain requests.
	pod map[string]sample
	mix sample
	// idle is the CPU time per second without requests.
	idle float64
}

// mixGets is the number of reads in the mix, which also has four writes.
const mixGets = 12

// idleFor is the duration of the idle measurement.
const idleFor = 2 * time.Second

func (b *bench) measureServer(ctx context.Context) serverCost {
	b.Helper()
	out := serverCost{pod: map[string]sample{}}
	before := b.clock()
	time.Sleep(idleFor)
	spent, elapsed := b.clock().since(before)
	out.idle = 1000 * spent.server / elapsed
	// each returns the server's CPU time for one of perBatch calls of f, minus that of an idle server.
	each := func(f func(i int)) float64 {
		before := b.clock()
		for i := range b.effort.perBatch {
			f(i)
		}
		spent, elapsed := b.clock().since(before)
		return (spent.server - elapsed*out.idle/1000) / float64(b.effort.perBatch)
	}
	for range b.effort.batches {
		out.mix = append(out.mix, each(func(int) { b.mix(ctx) }))
		for _, c := range b.all {
			if c.counted == nil {
				continue
			}
			out.pod[c.name] = append(out.pod[c.name], each(func(i int) {
				for _, verb := range verbs {
					b.call(c, verb, b.pods[i])
				}
			}))
		}
	}
	return out
}

// mix makes sixteen plain requests in sequence on one connection: a ConfigMap of 1 kB is created, read six times,
// replaced, read six times, replaced, and deleted.
func (b *bench) mix(ctx context.Context) {
	b.Helper()
	maps := b.node.Server.Dynamic().Resource(schema.GroupVersionResource{
		Version:  "v1",
		Resource: "configmaps",
	}).Namespace("default")
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "mix"},
		"data": map[string]any{"text": strings.Repeat("0123456789", 100)},
	}}
	object, err := maps.Create(ctx, object, metav1.CreateOptions{})
	must(b.T, err)
	for i := range 2 {
		for range mixGets / 2 {
			object, err = maps.Get(ctx, "mix", metav1.GetOptions{})
			must(b.T, err)
		}
		must(b.T, unstructured.SetNestedField(object.Object, fmt.Sprint(i), "data", "turn"))
		object, err = maps.Update(ctx, object, metav1.UpdateOptions{})
		must(b.T, err)
	}
	must(b.T, maps.Delete(ctx, "mix", metav1.DeleteOptions{}))
}
