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

// attachment is the host's end of a pair with its mark.
type attachment struct {
	mark mark
	link netlink.Link
}

// List tells the attachments by the MAC address and the mark of their host ends.
func (d *DataPlane) List(ctx context.Context) ([]dataplane.Attachment, error) {
	host, err := openHost()
	if err != nil {
		return nil, err
	}
	defer host.close()
	found, err := host.attachments()
	if err != nil {
		return nil, err
	}
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
	slices.SortFunc(all, func(a, b dataplane.Attachment) int { return strings.Compare(a.HostIfName, b.HostIfName) })
	return all, nil
}

// forwardingFault says which families the host does not forward for an interface of a pod, although Setup made it do so: a
// write to the setting of all interfaces spreads to each. For a family that the pod does not have, Setup left proxy_arp and
// proxy_ndp off, and nothing is amiss.
func (t sysctlTree) forwardingFault(hostIfName string) string {
	var faults []string
	for _, family := range []struct{ conf, proxy, all string }{
		{"net/ipv4/conf", "proxy_arp", "net.ipv4.ip_forward"},
		{"net/ipv6/conf", "proxy_ndp", "net.ipv6.conf.all.forwarding"},
	} {
		dir := filepath.Join(family.conf, hostIfName)
		values, err := t.read([]sysctl{{file: dir + "/" + family.proxy}, {file: dir + "/forwarding"}})
		if err == nil && values[0].value == "1" && values[1].value == "0" {
			faults = append(faults, fmt.Sprintf("%s/forwarding is 0: something wrote 0 to %s; set both to 1", dir, family.all))
		}
	}
	return strings.Join(faults, "; ")
}

// attachments returns what carries a mark among the interfaces of a host. This is a dump: never on the way of an ADD.
func (s side) attachments() ([]attachment, error) {
	links, err := s.links()
	if err != nil {
		return nil, err
	}
	var found []attachment
	for _, link := range links {
		if m, ok := parseMark(link.Attrs().Alias); ok && isHostEnd(link) {
			found = append(found, attachment{m, link})
		}
	}
	return found, nil
}
