// SPDX-License-Identifier: Apache-2.0

package routing

import (
	"fmt"
	"slices"
	"strings"

	"calico-cni/pkg/model"
)

// reason is why there is no route.
type reason int

const (
	noNode reason = iota
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
	o := obstacle{pool.Name, r}
	f.waiting[o] = append(f.waiting[o], name)
}

// reportWaiting reports the nodes without routes, one finding for each pool and reason.
func (f *family) reportWaiting() {
	for o, names := range f.waiting {
		what := "pods on "
		if o.reason == containsNode {
			what = ""
		}
		problem, remedy := o.reason.text()
		f.c.find(model.KindIPPool, o.pool, "", fmt.Sprintf("no routes to %s%s: %s", what, join(names), problem), remedy)
	}
	f.reportOutside()
	if f.link != "" || f.c.nodes[f.c.in.Node] == nil || f.firstPool(forPods) == nil {
		return
	}
	problem := fmt.Sprintf("the node has no %s address: pods reach no other node over it", f.f)
	if f.self.Addr.IsValid() {
		problem = fmt.Sprintf("no link has the address %s of the node: pods reach no other node", f.self.Addr.Addr())
	}
	f.c.find(model.KindNode, f.c.in.Node, "", problem,
		"check the detection of the address (IP_AUTODETECTION_METHOD, IP6_AUTODETECTION_METHOD)")
}

// reportOutside reports the blocks that are in no pool.
func (f *family) reportOutside() {
	if len(f.outside) == 0 {
		return
	}
	first, cidrs := f.outside[0], make([]string, len(f.outside))
	for i, b := range f.outside {
		cidrs[i] = b.CIDR.String()
		if b.CIDR.Compare(first.CIDR) < 0 {
			first = b
		}
	}
	f.c.find(model.KindBlock, first.Name(), "spec.cidr",
		fmt.Sprintf("%s are in no pool: other nodes have no routes to their pods", join(cidrs)),
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
