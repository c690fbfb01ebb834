// SPDX-License-Identifier: Apache-2.0

package linux

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"calico-cni/pkg/dataplane"
)

// attachment is the host end of a pair, with its mark.
type attachment struct {
	mark mark
	link netlink.Link
}

// List identifies the attachments by the MAC address and the mark of their host ends.
func (d *DataPlane) List(ctx context.Context) ([]dataplane.Attachment, error) {
	host, err := openHost()
	if err != nil {
		return nil, err
	}
	defer host.close()
	links, err := host.links()
	if err != nil {
		return nil, err
	}
	found, halfMade := marked(links)
	var all []dataplane.Attachment
	for _, a := range found {
		if err := ended(ctx, "list attachments"); err != nil {
			return nil, err
		}
		name := a.link.Attrs().Name
		all = append(all, dataplane.Attachment{
			Owner: a.mark.owner, IfName: a.mark.ifName, HostIfName: name, Fault: d.sysctls.forwardingFault(name),
		})
	}
	for _, link := range halfMade {
		all = append(all, dataplane.Attachment{HostIfName: link.Attrs().Name})
	}
	slices.SortFunc(all, func(a, b dataplane.Attachment) int { return strings.Compare(a.HostIfName, b.HostIfName) })
	return all, nil
}

// forwardingFault names the families for which the host does not forward packets of a pod's interface although Setup
// enabled forwarding. A write to the setting for all interfaces changes every interface. For a family that the pod does
// not have, Setup leaves proxy_arp and proxy_ndp off, and there is no fault.
func (t sysctlTree) forwardingFault(hostIfName string) string {
	var faults []string
	for _, family := range []struct{ conf, proxy, all string }{
		{"net/ipv4/conf", "proxy_arp", "net.ipv4.ip_forward"},
		{"net/ipv6/conf", "proxy_ndp", "net.ipv6.conf.all.forwarding"},
	} {
		dir := filepath.Join(family.conf, hostIfName)
		values, err := t.read([]sysctl{{file: dir + "/" + family.proxy}, {file: dir + "/forwarding"}})
		if err == nil && values[0].value == "1" && values[1].value == "0" {
			faults = append(faults, fmt.Sprintf("%s/forwarding is 0: something wrote 0 to %s; set both to 1", dir,
				family.all))
		}
	}
	return strings.Join(faults, "; ")
}

// attachments returns the interfaces of a host that carry a mark. It dumps all interfaces, so ADD must not call it.
func (s side) attachments() ([]attachment, error) {
	links, err := s.links()
	found, _ := marked(links)
	return found, err
}

// marked returns the interfaces that carry a mark. Those in halfMade carry it only as their group, which identifies no
// attachment: their ADD has not yet set the alias, or was killed before.
func marked(links []netlink.Link) (found []attachment, halfMade []netlink.Link) {
	for _, link := range links {
		attrs := link.Attrs()
		switch m, ok := parseMark(attrs.Alias); {
		case !isHostEnd(link):
		case ok:
			found = append(found, attachment{m, link})
		case attrs.Alias == "" && attrs.Group&groupMark != 0:
			halfMade = append(halfMade, link)
		}
	}
	return found, halfMade
}
