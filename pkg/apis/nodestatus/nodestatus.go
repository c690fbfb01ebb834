// SPDX-License-Identifier: Apache-2.0

// Package nodestatus defines the content of a CalicoNodeStatus object: a request for the state of one node, and the
// answer of its agent. It is the same in the API groups crd.projectcalico.org and projectcalico.org.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package nodestatus

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Request says what the agent of a node reports.
type Request struct {
	// Node is the name of the node.
	Node string `json:"node,omitempty"`
	// Classes of the report: Agent, BGP, Routes.
	// +kubebuilder:validation:items:Enum=Agent;BGP;Routes
	// +listType=set
	Classes []string `json:"classes,omitempty"`
	// UpdatePeriodSeconds is the time between two reports, 0 to 86400. 0 means one report only.
	UpdatePeriodSeconds *int32 `json:"updatePeriodSeconds,omitempty"`
}

// Status is the report of the agent.
type Status struct {
	// LastUpdated is the time of the report.
	// +nullable
	LastUpdated metav1.Time `json:"lastUpdated,omitzero"`
	// Agent is the state of the BGP speakers, of class Agent.
	Agent Agent `json:"agent,omitzero"`
	// BGP is the state of the peerings, of class BGP.
	BGP BGP `json:"bgp,omitzero"`
	// Routes are the routes of the BGP speakers, of class Routes.
	Routes Routes `json:"routes,omitzero"`
}

// Agent is the state of the BGP speakers.
type Agent struct {
	// BIRDV4 is the speaker for IPv4.
	BIRDV4 Speaker `json:"birdV4,omitzero"`
	// BIRDV6 is the speaker for IPv6.
	BIRDV6 Speaker `json:"birdV6,omitzero"`
}

// Speaker is the state of a BGP speaker.
type Speaker struct {
	// State is Ready or NotReady.
	// +kubebuilder:validation:Enum=Ready;NotReady
	State string `json:"state,omitempty"`
	// Version of the program.
	Version string `json:"version,omitempty"`
	// RouterID of the speaker.
	RouterID string `json:"routerID,omitempty"`
	// LastBootTime is when the speaker started.
	LastBootTime string `json:"lastBootTime,omitempty"`
	// LastReconfigurationTime is when the speaker last read its configuration.
	LastReconfigurationTime string `json:"lastReconfigurationTime,omitempty"`
}

// BGP is the state of the peerings.
type BGP struct {
	// NumberEstablishedV4 counts IPv4 peerings that are established.
	// +required
	NumberEstablishedV4 int `json:"numberEstablishedV4"`
	// NumberNotEstablishedV4 counts IPv4 peerings that are not established.
	// +required
	NumberNotEstablishedV4 int `json:"numberNotEstablishedV4"`
	// NumberEstablishedV6 counts IPv6 peerings that are established.
	// +required
	NumberEstablishedV6 int `json:"numberEstablishedV6"`
	// NumberNotEstablishedV6 counts IPv6 peerings that are not established.
	// +required
	NumberNotEstablishedV6 int `json:"numberNotEstablishedV6"`
	// PeersV4 are the IPv4 peerings.
	// +listType=atomic
	PeersV4 []Peer `json:"peersV4,omitempty"`
	// PeersV6 are the IPv6 peerings.
	// +listType=atomic
	PeersV6 []Peer `json:"peersV6,omitempty"`
}

// Peer is the state of a peering.
type Peer struct {
	// PeerIP is the address of the peer.
	PeerIP string `json:"peerIP,omitempty"`
	// Type of the peering: NodeMesh, NodePeer or GlobalPeer.
	// +kubebuilder:validation:Enum=NodeMesh;NodePeer;GlobalPeer
	Type string `json:"type,omitempty"`
	// State of the session: Idle, Connect, Active, OpenSent, OpenConfirm, Established or Close.
	// +kubebuilder:validation:Enum=Idle;Connect;Active;OpenSent;OpenConfirm;Established;Close
	State string `json:"state,omitempty"`
	// Since is when the session entered its state.
	Since string `json:"since,omitempty"`
}

// Routes are the routes of the BGP speakers.
type Routes struct {
	// RoutesV4 are the IPv4 routes.
	// +listType=atomic
	RoutesV4 []Route `json:"routesV4,omitempty"`
	// RoutesV6 are the IPv6 routes.
	// +listType=atomic
	RoutesV6 []Route `json:"routesV6,omitempty"`
}

// Route is a route of a BGP speaker.
type Route struct {
	// Type is FIB if the kernel has the route, else RIB.
	// +kubebuilder:validation:Enum=FIB;RIB
	Type string `json:"type,omitempty"`
	// Destination is the prefix.
	Destination string `json:"destination,omitempty"`
	// Gateway is the next hop.
	Gateway string `json:"gateway,omitempty"`
	// Interface is the outgoing interface.
	Interface string `json:"interface,omitempty"`
	// LearnedFrom is the origin of the route.
	LearnedFrom Origin `json:"learnedFrom,omitzero"`
}

// Origin is where a route comes from.
type Origin struct {
	// SourceType is Kernel, Static, Direct, NodeMesh or BGPPeer.
	// +kubebuilder:validation:Enum=Kernel;Static;Direct;NodeMesh;BGPPeer
	SourceType string `json:"sourceType,omitempty"`
	// PeerIP is the address of the peer that advertised the route.
	PeerIP string `json:"peerIP,omitempty"`
}
