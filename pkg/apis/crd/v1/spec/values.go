// SPDX-License-Identifier: Apache-2.0

package spec

// GroupVersion is the API group and version of every object.
const GroupVersion = "crd.projectcalico.org/v1"

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

// DefaultName is the name of the only IPAMConfig and ClusterInformation that are used.
const DefaultName = "default"

// Labels of a BlockAffinity, for listing the affinities of a node. Rows of old writers have none.
const (
	LabelHostnameHash = "projectcalico.org/hostname-hash"
	LabelAffinityType = "projectcalico.org/affinity-type"
	LabelIPVersion    = "projectcalico.org/ip-version"
)

// AnnotationMetadata contains metadata that Calico keeps as JSON. We do not change it.
const AnnotationMetadata = "projectcalico.org/metadata"

// Owners of blocks: values of a block's affinity and of a BlockAffinity's type.
const (
	// AffinityHostPrefix is the prefix of the node's name in a block's affinity.
	AffinityHostPrefix = "host:"
	// AffinityLoadBalancer is the affinity of the blocks of Service addresses.
	AffinityLoadBalancer = "virtual:load-balancer"
	// AffinityTypeHost is the type of a node's affinity. The empty string is equivalent.
	AffinityTypeHost = "host"
	// AffinityTypeVirtual is the type of an affinity without a node.
	AffinityTypeVirtual = "virtual"
)

// States of a BlockAffinity. The empty string means confirmed.
const (
	StatePending         = "pending"
	StateConfirmed       = "confirmed"
	StatePendingDeletion = "pendingDeletion"
)

// Values of a BlockAffinity's deleted, which is a string. In blocks and handles it is a boolean.
const (
	DeletedTrue  = "true"
	DeletedFalse = "false"
)

// Values of an IPPool.
const (
	// AssignmentAutomatic and AssignmentManual are the modes of a pool; empty means Automatic.
	AssignmentAutomatic = "Automatic"
	AssignmentManual    = "Manual"
	// UseWorkload, UseTunnel and UseLoadBalancer are the allowed uses of a pool. None means the first two.
	UseWorkload     = "Workload"
	UseTunnel       = "Tunnel"
	UseLoadBalancer = "LoadBalancer"
	// EncapNever, EncapAlways and EncapCrossSubnet are the values of ipipMode and vxlanMode; empty means Never.
	EncapNever       = "Never"
	EncapAlways      = "Always"
	EncapCrossSubnet = "CrossSubnet"
	// PoolAllocatable is a status condition of a pool. If it is False, no addresses are allocated from the pool.
	PoolAllocatable = "Allocatable"
)

// Values of an IPAMConfig's kubeVirtVMAddressPersistence. Empty means Enabled.
const (
	VMAddressPersistenceEnabled  = "Enabled"
	VMAddressPersistenceDisabled = "Disabled"
)
