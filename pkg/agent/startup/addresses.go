// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"maps"
	"net/netip"
	"time"

	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/model"
)

// Node is what start-up reads of a Node.
type Node struct {
	Annotations map[string]string
	// Internal are the addresses of type InternalIP that the kubelet reports.
	Internal   []netip.Addr
	Conditions []Condition
}

// Addresses keeps the annotations of a node equal to the addresses of its host. Start with the zero value of the
// unexported fields.
type Addresses struct {
	Node     string
	Settings Settings

	running   bool
	confirmed [2]autodetect.Confirmation
}

// Patch returns a merge patch for the annotations of the node, or nil if they are right. more are further annotations;
// an empty value removes one. The first call applies what it detects. Later calls apply a change of an address when the
// detections of some seconds agree.
func (a *Addresses) Patch(
	now Node, host autodetect.Host, more map[string]string, at time.Time,
) ([]byte, []model.Finding) {
	want := map[string]string{}
	var findings []model.Finding
	if a.Settings.Backend.Networking() {
		var addrs [2]netip.Prefix
		for i, r := range a.Settings.Requests(a.Node, now.Annotations, now.Internal) {
			addr, found := r.Address(host)
			if findings = append(findings, found...); a.running {
				addr = a.confirmed[i].Next(r.Stored, addr, at)
			}
			addrs[i] = addr
		}
		want = a.Settings.Annotations(addrs[0], addrs[1], host.Interfaces())
		a.running = true
	}
	maps.Copy(want, more)
	return AnnotationPatch(now.Annotations, want), findings
}
