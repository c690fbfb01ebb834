// SPDX-License-Identifier: Apache-2.0

package v3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of all types of this package.
var GroupVersion = schema.GroupVersion{Group: "projectcalico.org", Version: "v3"}

// AddToScheme registers every kind and list of the group with a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&BGPConfiguration{}, &BGPConfigurationList{},
		&BGPFilter{}, &BGPFilterList{},
		&BGPPeer{}, &BGPPeerList{},
		&BlockAffinity{}, &BlockAffinityList{},
		&CalicoNodeStatus{}, &CalicoNodeStatusList{},
		&ClusterInformation{}, &ClusterInformationList{},
		&FelixConfiguration{}, &FelixConfigurationList{},
		&GlobalNetworkPolicy{}, &GlobalNetworkPolicyList{},
		&GlobalNetworkSet{}, &GlobalNetworkSetList{},
		&HostEndpoint{}, &HostEndpointList{},
		&IPAMBlock{}, &IPAMBlockList{},
		&IPAMConfiguration{}, &IPAMConfigurationList{},
		&IPAMHandle{}, &IPAMHandleList{},
		&IPPool{}, &IPPoolList{},
		&IPReservation{}, &IPReservationList{},
		&KubeControllersConfiguration{}, &KubeControllersConfigurationList{},
		&NetworkPolicy{}, &NetworkPolicyList{},
		&NetworkSet{}, &NetworkSetList{},
		&StagedGlobalNetworkPolicy{}, &StagedGlobalNetworkPolicyList{},
		&StagedKubernetesNetworkPolicy{}, &StagedKubernetesNetworkPolicyList{},
		&StagedNetworkPolicy{}, &StagedNetworkPolicyList{},
		&Tier{}, &TierList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
