// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"fmt"
	"net/netip"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/workload"
)

// BeginAdd marks the attachment as being added until end is called or the process ends, and removes the records of
// earlier DELs. An ADD calls it before its first request. If calico runs calico-ipam as a process, that process has its
// own mark.
//
// It writes the mark first, so that a DEL that begins after the removal of its record sees the mark.
func (n *Node) BeginAdd(id workload.ID, plugin nodestate.Plugin) (end func(succeeded bool), err error) {
	end, markErr := n.Disk.Marks().Begin(n.key(id), plugin)
	if markErr != nil {
		n.Log.Warn("cannot mark the running ADD; a GC at this moment may release its attachment", "error", markErr)
		// Without a mark, a DEL may complete a record while this ADD runs.
		end = func(bool) { _ = n.removeRecord(id) }
	}
	if err := n.removeRecord(id); err != nil {
		end(false)
		return nil, err
	}
	return end, nil
}

// removeRecord removes the records of earlier DELs. A running DEL that has not queued its release yet can then no
// longer queue it.
func (n *Node) removeRecord(id workload.ID) error {
	records := n.Disk.deletions()
	if !records.Has(n.key(id)) {
		return nil
	}
	if err := n.Disk.queue().Exclude(func() error { return records.Remove(n.key(id)) }); err != nil {
		return fmt.Errorf("begin ADD after a DEL of the same attachment: %w", err)
	}
	return nil
}

// Deletion is a DEL of one attachment, with its record on disk.
type Deletion struct {
	node   *Node
	id     workload.ID
	plugin nodestate.Plugin
	record *nodestate.DeletionRecord
	// noAddPending says that no ADD of the attachment is running or was interrupted.
	noAddPending bool
	repeated     bool
}

// BeginDel opens the deletion record of the attachment. A DEL calls it before its first read, and End at its end.
//
// It does not detect an ADD of the same container by another implementation in the preceding ten minutes. No runtime
// uses a container ID twice.
func (n *Node) BeginDel(id workload.ID, plugin nodestate.Plugin) *Deletion {
	d := &Deletion{node: n, id: id, plugin: plugin}
	record, err := n.Disk.deletions().Open(n.key(id), plugin, n.Scope)
	if err != nil {
		n.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", err)
	}
	d.record = record
	// Check the marks after Open. An ADD that begins after this check removes the opened record.
	state := n.Disk.Marks().State(n.key(id))
	d.noAddPending = state == nodestate.Unmarked || state == nodestate.Succeeded
	d.repeated = d.noAddPending && record.Complete() && !d.queued()
	return d
}

// Repeated reports whether an earlier DEL of the plugin has released everything that the attachment had and nothing has
// changed since: no ADD has begun, none is running or was interrupted, and no release is queued. The DEL then makes no
// request.
func (d *Deletion) Repeated() bool { return d.repeated }

// Evidence is what the DEL knows about its attachment. addrs are the addresses in prevResult.
func (d *Deletion) Evidence(others Others, addrs []netip.Addr) Evidence {
	e := Evidence{Others: others, Addrs: addrs, Released: d.record.Released(), Fresh: true}
	if node, err := d.node.Name(); err == nil {
		e.Nodes = []string{node}
	}
	return e
}

// DelegateReleasedAll reports whether calico-ipam, run as a process by this DEL or an earlier one, has released
// everything that the attachment had, and no ADD has begun since.
func (d *Deletion) DelegateReleasedAll() bool {
	return d.node.Disk.deletions().Complete(d.node.key(d.id), nodestate.IPAM, d.node.Scope)
}

// End records what the DEL has released, and closes the record.
func (d *Deletion) End(freed Freed, err error) {
	defer d.record.Close()
	if err != nil {
		return
	}
	var recordErr error
	switch {
	case freed.All && d.noAddPending && !d.queued():
		recordErr = d.record.SetComplete()
	case len(freed.Addrs) > 0 && !d.queued():
		recordErr = d.record.SetReleased()
	}
	if recordErr != nil {
		d.node.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", recordErr)
	}
	marks, key := d.node.Disk.Marks(), d.node.key(d.id)
	if d.plugin == nodestate.IPAM {
		// calico may have run this process. It needs its own mark if its DEL fails.
		marks.Forget(key, nodestate.IPAM)
		return
	}
	marks.Forget(key, nodestate.Main, nodestate.IPAM)
}

// queued reports whether a release of the attachment is queued. It returns true if that cannot be determined.
func (d *Deletion) queued() bool {
	queued, err := d.node.Disk.queue().Has(d.node.key(d.id))
	return queued || err != nil
}

func (n *Node) key(id workload.ID) nodestate.Key {
	return nodestate.Key{Network: n.Network, ContainerID: id.ContainerID, IfName: id.IfName}
}
