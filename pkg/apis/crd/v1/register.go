package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of every type here.
var GroupVersion = schema.GroupVersion{Group: "crd.projectcalico.org", Version: "v1"}

// AddToScheme registers every kind and list of the group, so that generic clients and serializers know them.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&BlockAffinity{}, &BlockAffinityList{},
		&ClusterInformation{}, &ClusterInformationList{},
		&IPAMBlock{}, &IPAMBlockList{},
		&IPAMConfig{}, &IPAMConfigList{},
		&IPAMHandle{}, &IPAMHandleList{},
		&IPPool{}, &IPPoolList{},
		&IPReservation{}, &IPReservationList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
