package v1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IPAMHandle counts the addresses of one holder, block by block. Its name is the handle ID in lower case.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=ipamhandles,singular=ipamhandle
type IPAMHandle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the whole of the object.
	Spec IPAMHandleSpec `json:"spec,omitempty"`

	Unknown Unknown `json:"-"`
}

// IPAMHandleSpec is the content of a handle.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMHandleSpec struct {
	// HandleID in its original case.
	HandleID string `json:"handleID"`
	// Block has, for each block's CIDR, how many addresses the holder has there.
	Block map[string]int `json:"block"`
	// Deleted says that the deletion of the handle has begun.
	// +optional
	Deleted bool `json:"deleted"`

	Unknown Unknown `json:"-"`
}

// IPAMHandleList is a list of these objects.
//
// +kubebuilder:object:root=true
type IPAMHandleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMHandle `json:"items"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPAMHandleSpec) UnmarshalJSON(data []byte) error {
	type plain IPAMHandleSpec
	return decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMHandleSpec) MarshalJSON() ([]byte, error) {
	type plain IPAMHandleSpec
	if s.Block == nil {
		s.Block = map[string]int{}
	}
	return encode(plain(s), s.Unknown)
}

// UnmarshalJSON keeps the fields that the type does not know.
func (o *IPAMHandle) UnmarshalJSON(data []byte) error {
	type plain IPAMHandle
	return decode(data, (*plain)(o), &o.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (o IPAMHandle) MarshalJSON() ([]byte, error) {
	type plain IPAMHandle
	return encode(plain(o), o.Unknown)
}
