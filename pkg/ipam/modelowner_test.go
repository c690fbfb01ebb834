// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"maps"
	"strings"

	"calico-cni/pkg/ipam"
)

// attachment is an interface of a container. Interfaces of one container share a handle. Most situations name no
// interface.
type attachment struct{ handle, ifName string }

// attachmentOf returns the attachment of a name like "net.x@eth1".
func attachmentOf(name string) attachment {
	handle, ifName, _ := strings.Cut(name, "@")
	return attachment{handle, ifName}
}

func attachmentOfOwner(handle string, owner map[string]string) attachment {
	return attachment{handle, owner["interface"]}
}

func (w attachment) String() string {
	if w.ifName == "" {
		return w.handle
	}
	return w.handle + "@" + w.ifName
}

// own makes a request one of the attachment. As in the plugin, an ADD adopts the addresses of an earlier run.
func (w attachment) own(r *ipam.Request) {
	if w.ifName != "" {
		r.Owner["interface"] = w.ifName
	}
	r.SameAttachment = func(owner map[string]string) bool { return owner["interface"] == w.ifName }
}

// mine selects the owners that a DEL of the attachment releases.
func (w attachment) mine() func(owner map[string]string) bool {
	if w.ifName == "" {
		return nil
	}
	return func(owner map[string]string) bool { return owner["interface"] == w.ifName }
}

// assignAndWithdraw is an ADD that gets its addresses and fails in a later step.
func (m *model) assignAndWithdraw(a *actor, alloc *ipam.Allocator, r ipam.Request) error {
	got, err := m.gatherAndAssign(alloc, r)
	if err != nil || a.crashed || a.cut {
		return err
	}
	if err := a.call(step{what: "a later step of the ADD fails"}, func() error { return nil }); err != nil {
		return err
	}
	return alloc.Withdraw(context.Background(), r, got, m.cooldown())
}

// releaseHeld is a garbage collection that has read the addresses of a handle before the run. In the plugin, the mark
// of an ADD protects its attachment; in the model, the owner that was read does.
func (m *model) releaseHeld(alloc *ipam.Allocator, handle string) error {
	old, ok := m.before[handle]
	if !ok {
		return nil
	}
	held := []ipam.Held{{Holding: old.holding, Block: old.cidr, Handle: handle, Owner: old.owner}}
	same := func(owner map[string]string) bool { return maps.Equal(owner, old.owner) }
	_, err := alloc.ReleaseHeld(context.Background(), handle, held, same, m.cooldown())
	return err
}
