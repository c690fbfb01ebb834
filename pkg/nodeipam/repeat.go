package nodeipam

import (
	"fmt"

	"calico-cni/internal/adding"
	"calico-cni/internal/deletion"
)

// BeginAdd marks the attachment as being added until end is called or the process ends, and makes what earlier DELs of it have
// recorded obsolete. An ADD calls it before its first request. calico-ipam, run by calico as a process of its own, has a mark
// of its own.
//
// The order matters: the mark first, so that a DEL which begins after its record was removed sees the mark.
func (c *Command) BeginAdd(plugin adding.Plugin) (end func(succeeded bool), err error) {
	c.onSignal()
	end, unmarked := c.Adding().Begin(c.markKey(), plugin)
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
	c.plugin = plugin
	record, err := c.deletions().Open(c.recordKey(), plugin, c.scope())
	if err != nil {
		c.Log.Debug("a repeated DEL of this attachment will ask the API server again", "error", err)
	}
	c.record = record
	// After Open: an ADD that is not seen here removes the record that was opened.
	state := c.Adding().State(c.markKey())
	c.undisturbed = state == adding.None || state == adding.Succeeded
	return c.undisturbed && record.Complete() && !c.waits()
}

// scope is what a DEL depends on beside its attachment.
func (c *Command) scope() string {
	return fmt.Sprintf("%q %q %q %t", c.Conf.Kubernetes.Kubeconfig, c.Conf.APIRoot(), c.Conf.IPAM.Type, c.Conf.IPAM.Exec)
}

// DelegateReleasedAll reports whether calico-ipam, run by this DEL or an earlier one as a process of its own, has released all
// that the attachment had, and no ADD has begun since.
func (c *Command) DelegateReleasedAll() bool {
	return c.deletions().Complete(c.recordKey(), deletion.IPAM, c.scope())
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
	if c.plugin == deletion.IPAM {
		// calico, which may have run this command, still needs its own mark if its DEL fails.
		c.Adding().Forget(c.markKey(), adding.IPAM)
		return
	}
	c.Adding().Forget(c.markKey(), adding.Main, adding.IPAM)
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
