// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// Object is an object of the API with a spec of type S. It keeps all other fields of the object and its metadata
// unchanged. A copy of the struct is a copy of the object, provided that its maps are replaced and not modified.
type Object[S any] struct {
	APIVersion, Kind string
	Metadata         Metadata
	Spec             S
	// rest are the other fields.
	rest map[string]json.RawMessage
}

// Metadata is an object's metadata.
type Metadata struct {
	Name, UID, ResourceVersion string
	Labels                     map[string]string
	// Created is the creation time. The server sets it.
	Created time.Time
	// Deleting says that the object has a deletion timestamp: it is deleted once its finalizers are removed.
	Deleting bool
	// rest are the other fields and creationTimestamp.
	rest map[string]json.RawMessage
}

// UnmarshalJSON reads an object.
func (o *Object[S]) UnmarshalJSON(data []byte) error {
	*o = Object[S]{}
	return fields(data, &o.rest, map[string]any{
		"apiVersion": &o.APIVersion, "kind": &o.Kind, "metadata": &o.Metadata,
		"spec": &o.Spec,
	})
}

// MarshalJSON writes the object, with unknown fields at the end.
func (o Object[S]) MarshalJSON() ([]byte, error) {
	metadata, err := o.Metadata.MarshalJSON()
	if err != nil {
		return nil, err
	}
	contents, err := encode(o.Spec)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(len(metadata) + len(contents) + 256)
	return join(&out, []field{
		{"apiVersion", quote(o.APIVersion)}, {"kind", quote(o.Kind)}, {"metadata", metadata}, {"spec", contents},
	}, o.rest), nil
}

// UnmarshalJSON reads metadata.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	*m = Metadata{}
	err := fields(data, &m.rest, map[string]any{
		"name": &m.Name, "uid": &m.UID, "resourceVersion": &m.ResourceVersion,
		"labels": &m.Labels,
	})
	if at := m.rest["deletionTimestamp"]; at != nil && string(at) != "null" {
		m.Deleting = true
	}
	if created := m.rest["creationTimestamp"]; err == nil && created != nil {
		err = json.Unmarshal(created, &m.Created)
	}
	return err
}

// MarshalJSON writes metadata.
func (m Metadata) MarshalJSON() ([]byte, error) {
	known := []field{{"name", quote(m.Name)}}
	if m.UID != "" {
		known = append(known, field{"uid", quote(m.UID)})
	}
	if m.ResourceVersion != "" {
		known = append(known, field{"resourceVersion", quote(m.ResourceVersion)})
	}
	if len(m.Labels) > 0 {
		labels, err := json.Marshal(m.Labels)
		if err != nil {
			return nil, err
		}
		known = append(known, field{"labels", labels})
	}
	return join(new(bytes.Buffer), known, m.rest), nil
}

// fields decodes a JSON object: known fields into their targets, others into rest.
func fields(data []byte, rest *map[string]json.RawMessage, known map[string]any) error {
	if err := json.Unmarshal(data, rest); err != nil {
		return err
	}
	for name, place := range known {
		if value, ok := (*rest)[name]; ok {
			if err := decode(value, place); err != nil {
				return err
			}
			delete(*rest, name)
		}
	}
	return nil
}

// field is a field of a JSON object.
type field struct {
	name  string
	value []byte
}

// join writes a JSON object: the known fields, then the rest, sorted.
func join(out *bytes.Buffer, known []field, rest map[string]json.RawMessage) []byte {
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		known = append(known, field{name, rest[name]})
	}
	before := byte('{')
	for _, f := range known {
		out.WriteByte(before)
		out.Write(quote(f.name))
		out.WriteByte(':')
		out.Write(f.value)
		before = ','
	}
	if before == '{' {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	return out.Bytes()
}

func quote(text string) []byte {
	quoted, _ := json.Marshal(text) // a string can always be encoded
	return quoted
}

// decode and encode call the JSON methods of a value directly if it has them. encoding/json would scan the whole text
// once more, and a block has several kilobytes.
func decode(data []byte, into any) error {
	if u, ok := into.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(data)
	}
	return json.Unmarshal(data, into)
}

func encode(from any) ([]byte, error) {
	if m, ok := from.(json.Marshaler); ok {
		return m.MarshalJSON()
	}
	return json.Marshal(from)
}
