package ipamplugin

import (
	"fmt"

	"calico-cni/internal/adding"
	"calico-cni/internal/deletion"
)

// BeginAdd marks the attachment as being added until end is called or the process ends, and makes what earlier DELs of it have
// recorded obsolete. An ADD calls it before its first request.
//
// The order matters: the mark first, so that a DEL which begins after its record was removed sees the mark.
func (c *Command) BeginAdd() (end func(succeeded bool), err error) {
	end, unmarked := c.Adding().Begin(c.markKey())
	if unmarked != nil {
		c.Log.Warn("a collection of leftovers that runs at this moment may take this attachment for one", "error", unmarked)
		// Without a mark, a DEL may complete a record while this command runs.
		end = func(bool) { _ = c.removeRecord() }
	}
	if err := c.removeRecord(); err != nil {
		end(false)
		return nil, err
	}
	return end, nil
}

// removeRecord removes the record of an earlier DEL. A DEL that still runs, and has not queued its release yet, does so no more.
func (c *Command) removeRecord() error {
	if !c.deletions().Has(c.recordKey()) {
		return nil
	}
	if err := c.queue().Exclude(func() error { return c.deletions().Remove(c.recordKey()) }); err != nil {
		return fmt.Errorf("begin ADD after a DEL of the same attachment: %w", err)
	}
	return nil
}

// BeginDel opens the attachment's record of deletion, before the first read of the command. It returns true when an earlier DEL
// of the plugin has released all that the attachment had and nothing has happened since: no ADD has begun, none is running or
// was interrupted, and no release waits. A DEL need not ask the API server then.
//
// Only ADDs of this plugin are seen. One by another implementation, on the same container, within ten minutes of the DEL, is
// not; no runtime uses a container ID twice.
func (c *Command) BeginDel(plugin deletion.Plugin) (released bool) {
	k := &c.Conf.Kubernetes
	scope := fmt.Sprintf("%q %q %q %t", k.Kubeconfig, k.APIRoot, c.Conf.IPAM.Type, c.Conf.IPAM.Exec)
	record, err := c.deletions().Open(c.recordKey(), plugin, scope)
	if err != nil {
		c.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", err)
	}
	c.record = record
	// After Open: an ADD that is not seen here removes the record that was opened.
	state := c.Adding().State(c.markKey())
	c.undisturbed = state == adding.None || state == adding.Succeeded
	return c.undisturbed && record.Complete() && !c.waits()
}

// EndDel closes the record, and notes in it what the DEL has released.
func (c *Command) EndDel(freed Freed, err error) {
	defer c.record.Close()
	if err != nil {
		return
	}
	var unrecorded error
	switch {
	case freed.All && c.undisturbed && !c.waits():
		unrecorded = c.record.SetComplete()
	case len(freed.Addrs) > 0 && !c.waits():
		unrecorded = c.record.SetReleased()
	}
	if unrecorded != nil {
		c.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", unrecorded)
	}
	c.Adding().Forget(c.markKey())
}

// waits reports whether a release of the attachment is queued, or nobody can tell.
func (c *Command) waits() bool {
	waits, err := c.queue().Has(c.queueKey())
	return waits || err != nil
}

func (c *Command) markKey() adding.Key {
	return adding.Key{Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName}
}

func (c *Command) recordKey() deletion.Key {
	return deletion.Key{Network: c.Conf.Name, ContainerID: c.ID.ContainerID, IfName: c.ID.IfName}
}
