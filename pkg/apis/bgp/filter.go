// SPDX-License-Identifier: Apache-2.0

package bgp

// Filter is the content of a BGPFilter object: rules for the routes that a peering imports and exports. The first rule
// that matches decides. If none matches, the next filter of the peer follows.
type Filter struct {
	// ExportV4 are the rules for IPv4 routes that are advertised to the peer.
	// +listType=atomic
	ExportV4 []RuleV4 `json:"exportV4,omitempty"`
	// ImportV4 are the rules for IPv4 routes that are learned from the peer.
	// +listType=atomic
	ImportV4 []RuleV4 `json:"importV4,omitempty"`
	// ExportV6 are the rules for IPv6 routes that are advertised to the peer.
	// +listType=atomic
	ExportV6 []RuleV6 `json:"exportV6,omitempty"`
	// ImportV6 are the rules for IPv6 routes that are learned from the peer.
	// +listType=atomic
	ImportV6 []RuleV6 `json:"importV6,omitempty"`
}

// RuleV4 matches IPv4 routes. All conditions must hold.
//
// +kubebuilder:validation:XValidation:rule=`has(self.cidr) && self.cidr != "" ? has(self.matchOperator) : !has(self.matchOperator)`,message="set both cidr and matchOperator, or none"
// +kubebuilder:validation:XValidation:rule=`!has(self.prefixLength) || has(self.cidr) && self.cidr != ""`,message="prefixLength needs cidr"
// +kubebuilder:validation:XValidation:rule="!has(self.operations) || self.action == 'Accept'",message="operations need action Accept"
type RuleV4 struct {
	// CIDR that the route is compared with.
	// +kubebuilder:validation:Format=cidr
	// +kubebuilder:validation:MaxLength=18
	CIDR string `json:"cidr,omitempty"`
	// PrefixLength bounds the prefix length of the route.
	PrefixLength *PrefixLengthV4 `json:"prefixLength,omitempty"`

	Match `json:",inline"`
}

// RuleV6 matches IPv6 routes. All conditions must hold.
//
// +kubebuilder:validation:XValidation:rule=`has(self.cidr) && self.cidr != "" ? has(self.matchOperator) : !has(self.matchOperator)`,message="set both cidr and matchOperator, or none"
// +kubebuilder:validation:XValidation:rule=`!has(self.prefixLength) || has(self.cidr) && self.cidr != ""`,message="prefixLength needs cidr"
// +kubebuilder:validation:XValidation:rule="!has(self.operations) || self.action == 'Accept'",message="operations need action Accept"
type RuleV6 struct {
	// CIDR that the route is compared with.
	// +kubebuilder:validation:Format=cidr
	// +kubebuilder:validation:MaxLength=43
	CIDR string `json:"cidr,omitempty"`
	// PrefixLength bounds the prefix length of the route.
	PrefixLength *PrefixLengthV6 `json:"prefixLength,omitempty"`

	Match `json:",inline"`
}

// PrefixLengthV4 is a range of prefix lengths.
type PrefixLengthV4 struct {
	// Min is the least length. The default is that of cidr.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	Min *int32 `json:"min,omitempty"`
	// Max is the greatest length. The default is 32.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=32
	Max *int32 `json:"max,omitempty"`
}

// PrefixLengthV6 is a range of prefix lengths.
type PrefixLengthV6 struct {
	// Min is the least length. The default is that of cidr.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	Min *int32 `json:"min,omitempty"`
	// Max is the greatest length. The default is 128.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	Max *int32 `json:"max,omitempty"`
}

// Match is the part of a rule that is the same for both IP versions.
type Match struct {
	// MatchOperator compares the route with cidr: Equal, NotEqual, In or NotIn. In includes equal.
	// +kubebuilder:validation:Enum=Equal;NotEqual;In;NotIn
	MatchOperator string `json:"matchOperator,omitempty"`
	// Source is RemotePeers for routes that were learned by BGP; absent means any.
	// +kubebuilder:validation:Enum=RemotePeers
	Source string `json:"source,omitempty"`
	// Interface is the outgoing interface of the route, with "*" as a wildcard.
	// +kubebuilder:validation:MaxLength=15
	Interface string `json:"interface,omitempty"`
	// PeerType is eBGP or iBGP; absent means both.
	// +kubebuilder:validation:Enum=eBGP;iBGP
	PeerType string `json:"peerType,omitempty"`
	// Communities that the route must have.
	Communities *Communities `json:"communities,omitempty"`
	// ASPathPrefix are the AS numbers with which the path must begin.
	// +listType=atomic
	ASPathPrefix []ASNumber `json:"asPathPrefix,omitempty"`
	// Priority is the metric that the route must have.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483646
	Priority *int `json:"priority,omitempty"`
	// Operations change an accepted route, in this order.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Operations []Operation `json:"operations,omitempty"`
	// Action is Accept or Reject.
	// +required
	// +kubebuilder:validation:Enum=Accept;Reject
	Action string `json:"action"`
}

// Communities is a condition on the communities of a route.
type Communities struct {
	// Values has the one community that the route must have.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1
	// +listType=atomic
	Values []CommunityValue `json:"values"`
}

// CommunityValue is "aa:nn" with two numbers of 16 bits, or "aa:nn:mm" with three numbers of 32 bits.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:Pattern=`^((\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]):(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])|(\d{1,9}|[1-3]\d{9}|4[0-1]\d{8}|42[0-8]\d{7}|429[0-3]\d{6}|4294[0-8]\d{5}|42949[0-5]\d{4}|429496[0-6]\d{3}|4294967[0-1]\d{2}|42949672[0-8]\d|429496729[0-5]):(\d{1,9}|[1-3]\d{9}|4[0-1]\d{8}|42[0-8]\d{7}|429[0-3]\d{6}|4294[0-8]\d{5}|42949[0-5]\d{4}|429496[0-6]\d{3}|4294967[0-1]\d{2}|42949672[0-8]\d|429496729[0-5]):(\d{1,9}|[1-3]\d{9}|4[0-1]\d{8}|42[0-8]\d{7}|429[0-3]\d{6}|4294[0-8]\d{5}|42949[0-5]\d{4}|429496[0-6]\d{3}|4294967[0-1]\d{2}|42949672[0-8]\d|429496729[0-5]))$`
type CommunityValue string

// Operation changes a route. Set one of the fields.
//
// +kubebuilder:validation:MaxProperties=1
type Operation struct {
	// AddCommunity adds a community.
	AddCommunity *AddCommunity `json:"addCommunity,omitempty"`
	// PrependASPath adds AS numbers at the beginning of the path.
	PrependASPath *PrependASPath `json:"prependASPath,omitempty"`
	// SetPriority sets the metric.
	SetPriority *SetPriority `json:"setPriority,omitempty"`
}

// AddCommunity adds a community to a route.
type AddCommunity struct {
	// Value is the community.
	// +required
	Value CommunityValue `json:"value"`
}

// PrependASPath adds AS numbers at the beginning of a path.
type PrependASPath struct {
	// Prefix are the numbers, the first of which becomes the first of the path.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	Prefix []ASNumber `json:"prefix"`
}

// SetPriority sets the metric of a route.
type SetPriority struct {
	// Value is the metric.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483646
	Value int `json:"value"`
}
