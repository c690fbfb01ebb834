// SPDX-License-Identifier: Apache-2.0

package felix

// Configuration is the content of a FelixConfiguration object.
//
// +kubebuilder:validation:XValidation:rule="!has(self.routeTableRange) || !has(self.routeTableRanges)",message="routeTableRange and routeTableRanges exclude each other: use routeTableRanges"
type Configuration struct {
	// NodeSelector selects the nodes to which the object applies, by their labels. Of several objects that select a
	// node, the oldest applies.
	// +kubebuilder:validation:MaxLength=1024
	NodeSelector string `json:"nodeSelector,omitempty"`

	Endpoints `json:",inline"`
	Policy    `json:",inline"`
	Tables    `json:",inline"`
	Routing   `json:",inline"`
	Overlay   `json:",inline"`
	WireGuard `json:",inline"`
	NAT       `json:",inline"`
	BPF       `json:",inline"`
	Reports   `json:",inline"`
	Debug     `json:",inline"`
	Platform  `json:",inline"`
}
