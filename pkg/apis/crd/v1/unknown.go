package v1

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// Unknown are the fields of a JSON object that its Go type does not have.
//
// +kubebuilder:object:generate=false
type Unknown map[string]json.RawMessage

// DeepCopy returns a copy that shares nothing.
func (u Unknown) DeepCopy() Unknown {
	if u == nil {
		return nil
	}
	out := make(Unknown, len(u))
	for k, v := range u {
		out[k] = bytes.Clone(v)
	}
	return out
}

// decodeKnown decodes a JSON object into known, and returns the fields that are not among names. Names are compared as
// encoding/json compares them, without regard to case, for such a field has been decoded into known already.
func decodeKnown(data []byte, known any, names ...string) (Unknown, error) {
	if err := json.Unmarshal(data, known); err != nil {
		return nil, err
	}
	var all Unknown
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(k string, _ json.RawMessage) bool {
		return slices.ContainsFunc(names, func(name string) bool { return equalFold(k, name) })
	})
	if len(all) == 0 {
		return nil, nil
	}
	return all, nil
}

// encodeKnown encodes known, an object, together with the unknown fields, sorted behind its own.
func encodeKnown(known any, unknown Unknown) ([]byte, error) {
	data, err := json.Marshal(known)
	if err != nil || len(unknown) == 0 {
		return data, err
	}
	rest, err := json.Marshal(map[string]json.RawMessage(unknown))
	if err != nil {
		return nil, err
	}
	if len(data) == len("{}") {
		return rest, nil
	}
	return append(append(data[:len(data)-1], ','), rest[1:]...), nil
}

func equalFold(a, b string) bool { return bytes.EqualFold([]byte(a), []byte(b)) }
