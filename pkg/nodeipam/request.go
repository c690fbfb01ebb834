// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"time"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// Request is the request of one attachment.
type Request struct {
	// Network is the name of the network, Node that of the node.
	Network, Node string
	ID            workload.ID
	// IPv4 and IPv6 are the requests for each family.
	IPv4, IPv6 Family
	// NamespaceLabels are the labels of the pod's namespace.
	NamespaceLabels map[string]string
	// Additional requests additional addresses. Otherwise the attachment gets the addresses that it already holds.
	Additional bool
	// Subnet says that the main plugin configures the addresses with the prefix length of their block.
	Subnet bool
	// NamesInterface stores the name of the interface with the allocation even if it is eth0.
	NamesInterface bool
}

// Family is the request for one address family.
type Family struct {
	Wanted bool
	// Pools are names or CIDRs. If empty, the selectors decide.
	Pools []string
	// Addr is the specific address requested, if any.
	Addr netip.Addr
}

// isRepeated reports whether an address of the handle was allocated by an earlier run of the same request.
func (r Request) isRepeated(owner map[string]string) bool {
	if node := owner["node"]; node != "" && node != r.Node {
		// Containers on two nodes may have the same ID: cnitool derives it from the path of the network namespace.
		return false
	}
	if !samePod(r.ID, owner) {
		return false
	}
	if r.NamesInterface {
		// Calico allocated an address that names no interface. It may be of another interface.
		return owner[ownerInterface] == r.ID.IfName
	}
	return heldFor(r.ID.IfName, false)(owner)
}

func (r Request) wants() (wants []ipam.Want) {
	if r.IPv4.Wanted {
		wants = append(wants, ipam.Want{Pools: r.IPv4.Pools, Addr: r.IPv4.Addr})
	}
	if r.IPv6.Wanted {
		wants = append(wants, ipam.Want{IPv6: true, Pools: r.IPv6.Pools, Addr: r.IPv6.Addr})
	}
	return wants
}

// ErrNoFamily says that the configuration requests no address.
var ErrNoFamily = errors.New("neither an IPv4 nor an IPv6 address is wanted; set ipam.assign_ipv4 or " +
	"ipam.assign_ipv6 to \"true\"")

// owner returns the attributes that are stored with an address. Other programs parse the timestamp in this form.
func (r Request) owner(now time.Time) map[string]string {
	owner := map[string]string{"node": r.Node, "timestamp": now.UTC().String()}
	if r.ID.Kubernetes() {
		owner["pod"], owner["namespace"] = r.ID.Pod, r.ID.Namespace
	}
	if r.NamesInterface || r.ID.IfName != usualIfName {
		owner[ownerInterface] = r.ID.IfName
	}
	return owner
}

// checkNode refuses a node name that is invalid in Kubernetes, because names of objects contain it.
func checkNode(name string) error {
	if !workload.ValidSubdomain(name) {
		return fmt.Errorf("%w: nodename: %q cannot be the name of a Kubernetes node: want lower-case letters, digits, "+
			"hyphens and dots, 253 at most; see nodename and hostname in the CNI configuration, and the nodename file",
			netconf.ErrInvalid, name)
	}
	return nil
}

// checkHandle refuses a handle that cannot be the name of an object: CNI allows network names and container IDs that
// Kubernetes does not.
func checkHandle(id string) error {
	if !workload.ValidSubdomain(strings.ToLower(id)) {
		return fmt.Errorf("%w: network name and container ID make the handle %q, which cannot be the name of a Kubernetes "+
			"object: want letters, digits, hyphens and dots, 253 at most", workload.ErrInvalidArgs, id)
	}
	return nil
}

// NamespaceNameLabel is the label with which selectors match the name of a namespace.
const NamespaceNameLabel = "projectcalico.org/name"

// RequestAddrs requests specific addresses, at most one per family, and no others. Without addresses it has no effect.
func (r *Request) RequestAddrs(addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	r.IPv4.Wanted, r.IPv6.Wanted = false, false
	for _, addr := range addrs {
		if addr.Is4() {
			r.IPv4.Wanted, r.IPv4.Addr = true, addr
		} else {
			r.IPv6.Wanted, r.IPv6.Addr = true, addr
		}
	}
}

// NamespaceLabels returns the labels of a namespace for the selectors of pools: its own, and NamespaceNameLabel.
func NamespaceLabels(name string, labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels)+1)
	maps.Copy(out, labels)
	out[NamespaceNameLabel] = name
	return out
}
