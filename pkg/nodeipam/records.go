// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"fmt"
	"net/netip"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/workload"
)

// BeginAdd marks the attachment as being added until end is called or the process ends, and removes the records of
// earlier DELs of it. An ADD calls it before its first request. If calico runs calico-ipam as a process, that process
// has its own mark.
//
// The order matters: the mark comes first, so that a DEL which begins after its record was removed sees the mark.
func (n *Node) BeginAdd(id workload.ID, plugin nodestate.Plugin) (end func(succeeded bool), err error) {
	end, unmarked := n.Disk.Marks().Begin(n.key(id), plugin)
	if unmarked != nil {
		n.Log.Warn("cannot mark the running ADD; a GC at this moment may release its attachment", "error", unmarked)
		// Without a mark, a DEL may complete a record while this ADD runs.
		end = func(bool) { _ = n.removeRecord(id) }
	}
	if err := n.removeRecord(id); err != nil {
		end(false)
		return nil, err
	}
	return end, nil
}

// removeRecord removes the record of an earlier DEL. A DEL that still runs, and has not queued its release yet, does
// not queue it any more.
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
	// undisturbed says that no ADD of the attachment runs or was interrupted.
	undisturbed bool
	repeated    bool
}

// BeginDel opens the attachment's record of deletion. A DEL calls it before its first read, and End at its end.
//
// Only ADDs of this plugin are seen. An ADD by another implementation, of the same container, within ten minutes of the
// DEL, is not seen; no runtime uses a container ID twice.
func (n *Node) BeginDel(id workload.ID, plugin nodestate.Plugin) *Deletion {
	d := &Deletion{node: n, id: id, plugin: plugin}
	record, err := n.Disk.deletions().Open(n.key(id), plugin, n.Scope)
	if err != nil {
		n.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", err)
	}
	d.record = record
	// After Open: an ADD that is not seen here removes the record that was opened.
	state := n.Disk.Marks().State(n.key(id))
	d.undisturbed = state == nodestate.Unmarked || state == nodestate.Succeeded
	d.repeated = d.undisturbed && record.Complete() && !d.queued()
	return d
}

// Repeated reports whether an earlier DEL of the plugin has released all that the attachment had and nothing has
// happened since: no ADD has begun, none is running or was interrupted, and no release is queued. The DEL need not ask
// the API server then.
func (d *Deletion) Repeated() bool { return d.repeated }

// Evidence is what the DEL knows about its attachment. addrs are the addresses in prevResult.
func (d *Deletion) Evidence(others Others, addrs []netip.Addr) Evidence {
	return Evidence{Others: others, Addrs: addrs, Released: d.record.Released()}
}

// DelegateReleasedAll reports whether calico-ipam, run as a process by this DEL or an earlier one, has released all
// that the attachment had, and no ADD has begun since.
func (d *Deletion) DelegateReleasedAll() bool {
	return d.node.Disk.deletions().Complete(d.node.key(d.id), nodestate.IPAM, d.node.Scope)
}

// End records what the DEL has released, and closes the record.
func (d *Deletion) End(freed Freed, err error) {
	defer d.record.Close()
	if err != nil {
		return
	}
	var unrecorded error
	switch {
	case freed.All && d.undisturbed && !d.queued():
		unrecorded = d.record.SetComplete()
	case len(freed.Addrs) > 0 && !d.queued():
		unrecorded = d.record.SetReleased()
	}
	if unrecorded != nil {
		d.node.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", unrecorded)
	}
	marks, key := d.node.Disk.Marks(), d.node.key(d.id)
	if d.plugin == nodestate.IPAM {
		// calico, which may have run this process, still needs its own mark if its DEL fails.
		marks.Forget(key, nodestate.IPAM)
		return
	}
	marks.Forget(key, nodestate.Main, nodestate.IPAM)
}

// queued reports whether a release of the attachment is queued, or cannot be ruled out.
func (d *Deletion) queued() bool {
	queued, err := d.node.Disk.queue().Has(d.node.key(d.id))
	return queued || err != nil
}

func (n *Node) key(id workload.ID) nodestate.Key {
	return nodestate.Key{Network: n.Network, ContainerID: id.ContainerID, IfName: id.IfName}
}
