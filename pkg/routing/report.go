// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"slices"
	"strings"

	"calico-cni/pkg/model"
)

// reason is why there is no route to a block or an address of another node.
type reason int

const (
	outsidePools reason = iota
	noNode
	noAddress
	noVXLANAddress
	conflictingVXLAN
	otherSubnet
	containsNode
)

// text says why there is no route, and what to do.
func (r reason) text() (problem, remedy string) {
	switch r {
	case noNode:
		return "they have no Node object", "wait until the blocks are released, or delete them if the nodes are gone"
	case noAddress:
		return "they have no address", "check that calico-node runs on these nodes and has found an address"
	case noVXLANAddress:
		return "they have no VXLAN tunnel address",
			"wait until they have allocated one; they need a pool with the use Tunnel that selects them"
	case conflictingVXLAN:
		return "another node has their VXLAN tunnel address or MAC", "see the finding on the Node"
	case otherSubnet:
		return "they are in another subnet, and the pool has no encapsulation",
			"set vxlanMode or ipipMode to CrossSubnet, or use BGP"
	case containsNode:
		return "the address of a node is in them", "move the pool away from the addresses of nodes"
	default:
		return "", ""
	}
}

// obstacle is a reason that concerns a pool. The findings on it name the pool once and list the nodes.
type obstacle struct {
	pool   string
	reason reason
}

// wait notes that there is no route to a node, or to a block.
func (f *family) wait(pool *model.Pool, r reason, name string) {
	o := obstacle{reason: r}
	if pool != nil {
		o.pool = pool.Name
	}
	f.waiting[o] = append(f.waiting[o], name)
}

// reportWaiting reports the nodes without routes, one finding for each pool and reason.
func (f *family) reportWaiting() {
	for o, names := range f.waiting {
		if o.reason == outsidePools {
			f.reportOutside(names)
			continue
		}
		what := "pods on "
		if o.reason == containsNode {
			what = ""
		}
		problem, remedy := o.reason.text()
		f.c.find(model.KindIPPool, o.pool, "", fmt.Sprintf("no routes to %s%s: %s", what, join(names), problem), remedy)
	}
	if f.link != "" || f.firstPool(func(*model.Pool) bool { return true }) == nil {
		return
	}
	problem := fmt.Sprintf("the node has no %s address: pods reach no other node", f.f)
	if f.self.Addr.IsValid() {
		problem = fmt.Sprintf("no link has the address %s of the node: pods reach no other node", f.self.Addr.Addr())
	}
	f.c.find(model.KindNode, f.c.in.Node, "", problem,
		"check the detection of the address (IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD)")
}

// reportOutside reports blocks outside of all pools.
func (f *family) reportOutside(cidrs []string) {
	slices.Sort(cidrs)
	f.c.find(model.KindBlock, cidrs[0], "spec.cidr",
		fmt.Sprintf("%s are in no pool: no routes to their pods", join(cidrs)),
		"create the pool again, disabled, until the pods are gone")
}

// maxNames is the number of names that a finding lists.
const maxNames = 5

// join lists names, sorted and without repetitions.
func join(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - maxNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), more)
	}
	return strings.Join(names, ", ")
}

func joinNodes(nodes []*model.Node) string {
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return join(names)
}
