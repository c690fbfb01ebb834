// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"context"
	"net/netip"
	"testing"

	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// TestRepeatedDelKeepsQueuedReleaseWithMoreEvidence queues the first DEL of net1 with the address in prevResult. The
// runtime then removes prevResult, so that the second DEL releases nothing and must not remove the queued release.
func TestRepeatedDelKeepsQueuedReleaseWithMoreEvidence(t *testing.T) {
	w := newCluster(t)
	a1 := w.addAsCalico("n1", "net1")
	w.add("n1", "net2")
	c := w.node(t)
	id := workload.ID{ContainerID: "c1", IfName: "net1"}
	// DEL 1 of net1, in an outage, with prevResult.
	if err := c.Disk.queue().Add(pending.Release{
		Network: "net", ContainerID: "c1", IfName: "net1", Node: "n1",
		Others: OthersUnknown, Addresses: []netip.Addr{a1},
	}); err != nil {
		t.Fatal(err)
	}
	// DEL 2 after the outage: libcni removed the cached result after DEL 1 succeeded.
	freed := w.del("net1", Evidence{})
	// The node has no client: settling the release fails and keeps it.
	func() {
		defer func() { _ = recover() }()
		c.Releases().Settled(context.Background(), id, freed)
	}()
	n, _ := c.Disk.queue().Len()
	// DEL of net2
	w.del("net2", Evidence{})
	t.Logf("freed %v, %d wait, held %q", freed, n, w.held())
	if n == 0 && w.held() != "" {
		t.Errorf("the queued release of %v is dropped and nothing was released: leak\n%s", a1, w.store)
	}
}

// TestQueuedReleaseOfReleasedAttachmentIsSettled queues a repeated DEL of net1 while eth0 exists. It has nothing left
// to release, and must not block the next ADD of the container.
func TestQueuedReleaseOfReleasedAttachmentIsSettled(t *testing.T) {
	w := newCluster(t)
	w.add("n1", "eth0") // of type calico: names no interface
	w.add("n1", "net1")
	w.del("net1", Evidence{Others: SomeOthers}) // DEL 1, released
	queue := pending.Queue{Dir: t.TempDir(), Now: w.Now}
	// DEL 2, in an outage
	if err := queue.Add(pending.Release{
		Network: "net", ContainerID: "c1", IfName: "net1", Node: "n1", Others: SomeOthers, ReleasedBefore: true,
	}); err != nil {
		t.Fatal(err)
	}
	done, err := (pending.Settler{Queue: queue}).Settle(t.Context(), 16, nil, w.settle(w.node(t)))
	t.Logf("settled %d, %v", done, err)
	// hot plug: ADD net1 again
	if err := (pending.Settler{Queue: queue}).SettleContainer(t.Context(), "net", "c1", w.settle(w.node(t))); err != nil {
		t.Errorf("ADD of the container is refused: %v", err)
	}
}

// TestReplacedEntryKeepsReleasedBefore queues a DEL again after the record of its release has expired.
func TestReplacedEntryKeepsReleasedBefore(t *testing.T) {
	w := newCluster(t)
	live := w.addAsCalico("n1", "net2") // a live interface of the same network, by Calico
	w.add("n1", "net1")
	w.del("net1", Evidence{}) // DEL 1 online
	queue := pending.Queue{Dir: t.TempDir(), Now: w.Now}
	for _, before := range []bool{true, false} { // DEL 2 at 9 min, DEL 3 at 11 min: the record has expired
		if err := queue.Add(pending.Release{
			Network: "net", ContainerID: "c1", IfName: "net1", Node: "n1",
			Others: OthersUnknown, ReleasedBefore: before,
		}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := (pending.Settler{Queue: queue}).Settle(t.Context(), 16, nil, w.settle(w.node(t)))
	if w.held() != live.String() {
		t.Errorf("%v of the live net2 is gone: %q held, %v", live, w.held(), err)
	}
}
