// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// Unknown has the fields of a JSON object that its Go type does not have, unchanged.
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

// Decode decodes a JSON object into known, a pointer to a struct, and sets unknown to the fields that the struct does
// not have. Like encoding/json it ignores the case of names, because some writers spell "deleted" as "Deleted".
func Decode(data []byte, known any, unknown *Unknown) error {
	*unknown = nil
	if strict(data, known) == nil {
		return nil // nearly every object ends here, after a single pass
	}
	if err := json.Unmarshal(data, known); err != nil {
		return err
	}
	var all Unknown
	if err := json.Unmarshal(data, &all); err != nil {
		return err
	}
	if all = without(all, reflect.TypeOf(known).Elem()); len(all) > 0 {
		*unknown = all
	}
	return nil
}

// strict decodes a JSON object that has no unknown fields.
func strict(data []byte, known any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(known)
}

// Encode encodes known, a struct, followed by the unknown fields, sorted by name. A field of known takes precedence.
func Encode(known any, unknown Unknown) ([]byte, error) {
	data, err := json.Marshal(known)
	if err != nil || len(unknown) == 0 {
		return data, err
	}
	unknown = without(unknown, reflect.TypeOf(known))
	if len(unknown) == 0 {
		return data, nil
	}
	rest, err := json.Marshal(map[string]json.RawMessage(unknown))
	if err != nil {
		return nil, err
	}
	if string(data) == "{}" {
		return rest, nil
	}
	return append(append(data[:len(data)-1], ','), rest[1:]...), nil
}

// without returns the fields that a struct type does not have.
func without(fields Unknown, known reflect.Type) Unknown {
	names := jsonNames(known)
	out := make(Unknown, len(fields))
	for name, value := range fields {
		if !slices.ContainsFunc(names, func(known string) bool { return strings.EqualFold(known, name) }) {
			out[name] = value
		}
	}
	return out
}

// jsonNames lists the names in the json tags of a struct type, including those of inlined structs.
func jsonNames(t reflect.Type) (names []string) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "" && options == "inline":
			names = append(names, jsonNames(field.Type)...)
		case name != "-":
			names = append(names, name)
		}
	}
	return names
}
