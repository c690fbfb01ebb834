package v1

import "k8s.io/apimachinery/pkg/runtime/schema"

// GroupVersion is the API group and version of every type here.
var GroupVersion = schema.GroupVersion{Group: "crd.projectcalico.org", Version: "v1"}

// Plural names of the resources.
const (
	IPPools             = "ippools"
	IPAMBlocks          = "ipamblocks"
	BlockAffinities     = "blockaffinities"
	IPAMHandles         = "ipamhandles"
	IPAMConfigs         = "ipamconfigs"
	IPReservations      = "ipreservations"
	ClusterInformations = "clusterinformations"
)

// Labels of a BlockAffinity, by which the affinities of a node are listed.
const (
	LabelHostnameHash = "projectcalico.org/hostname-hash"
	LabelAffinityType = "projectcalico.org/affinity-type"
	LabelIPVersion    = "projectcalico.org/ip-version"
)

// Values of fields.
const (
	// AffinityHostPrefix stands before the node's name in a block's affinity.
	AffinityHostPrefix = "host:"
	// AffinityTypeHost is the type of a node's affinity; the empty string means the same.
	AffinityTypeHost = "host"
	// DeletedTrue and DeletedFalse are the values of a BlockAffinity's deleted, a string.
	DeletedTrue  = "true"
	DeletedFalse = "false"
	// AssignmentAutomatic and AssignmentManual are the modes of a pool; empty means Automatic.
	AssignmentAutomatic = "Automatic"
	AssignmentManual    = "Manual"
	// PoolAllocatable is the status condition of a pool that, when False, keeps it from assigning.
	PoolAllocatable = "Allocatable"
)
