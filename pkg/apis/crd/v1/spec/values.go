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

// DefaultName is the name of the one IPAMConfig, and the one ClusterInformation, that count.
const DefaultName = "default"

// Labels of a BlockAffinity, by which the affinities of a node are listed. Rows of old writers have none.
const (
	LabelHostnameHash = "projectcalico.org/hostname-hash"
	LabelAffinityType = "projectcalico.org/affinity-type"
	LabelIPVersion    = "projectcalico.org/ip-version"
)

// AnnotationMetadata holds the metadata that Calico keeps of its own, as JSON. It is not ours to change.
const AnnotationMetadata = "projectcalico.org/metadata"

// Owners of blocks: the values of a block's affinity and of a BlockAffinity's type.
const (
	// AffinityHostPrefix stands before the node's name in a block's affinity.
	AffinityHostPrefix = "host:"
	// AffinityLoadBalancer is the affinity of the blocks that Service addresses come from.
	AffinityLoadBalancer = "virtual:load-balancer"
	// AffinityTypeHost is the type of a node's affinity; the empty string means the same.
	AffinityTypeHost = "host"
	// AffinityTypeVirtual is the type of an affinity that no node has.
	AffinityTypeVirtual = "virtual"
)

// States of a BlockAffinity. The empty string means confirmed.
const (
	StatePending         = "pending"
	StateConfirmed       = "confirmed"
	StatePendingDeletion = "pendingDeletion"
)

// Values of a BlockAffinity's deleted, a string. Blocks and handles have a boolean there.
const (
	DeletedTrue  = "true"
	DeletedFalse = "false"
)

// Values of an IPPool.
const (
	// AssignmentAutomatic and AssignmentManual are the modes of a pool; empty means Automatic.
	AssignmentAutomatic = "Automatic"
	AssignmentManual    = "Manual"
	// UseWorkload, UseTunnel and UseLoadBalancer are what a pool may be for; none given means the first two.
	UseWorkload     = "Workload"
	UseTunnel       = "Tunnel"
	UseLoadBalancer = "LoadBalancer"
	// EncapNever, EncapAlways and EncapCrossSubnet are the values of ipipMode and vxlanMode; empty means Never.
	EncapNever       = "Never"
	EncapAlways      = "Always"
	EncapCrossSubnet = "CrossSubnet"
	// PoolAllocatable is the status condition of a pool that, when False, keeps it from assigning.
	PoolAllocatable = "Allocatable"
)

// Values of an IPAMConfig's kubeVirtVMAddressPersistence. Empty means Enabled.
const (
	VMAddressPersistenceEnabled  = "Enabled"
	VMAddressPersistenceDisabled = "Disabled"
)
