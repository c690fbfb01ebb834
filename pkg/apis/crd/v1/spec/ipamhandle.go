package spec

// IPAMHandle is the content of a handle.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMHandle struct {
	// HandleID in its original case.
	HandleID string `json:"handleID"`
	// Block has, for each block's CIDR, how many addresses the holder has there.
	Block map[string]int `json:"block"`
	// Deleted says that the deletion of the handle has begun.
	// +optional
	Deleted bool `json:"deleted"`

	Unknown Unknown `json:"-"`
}

// UnmarshalJSON keeps the fields that the type does not know.
func (s *IPAMHandle) UnmarshalJSON(data []byte) error {
	type plain IPAMHandle
	return Decode(data, (*plain)(s), &s.Unknown)
}

// MarshalJSON writes the unknown fields as well.
func (s IPAMHandle) MarshalJSON() ([]byte, error) {
	type plain IPAMHandle
	if s.Block == nil {
		s.Block = map[string]int{}
	}
	return Encode(plain(s), s.Unknown)
}
