package kube

import (
	"encoding/json"
	"maps"
)

const annotations = "annotations"

// Annotation returns the value of one annotation, or "" when the object does not have it. The annotations stay as
// they were read, byte for byte, until one is set.
func (m Metadata) Annotation(key string) string { return m.annotations()[key] }

// SetAnnotation sets one annotation. A copy of the metadata made before keeps its own.
func (m *Metadata) SetAnnotation(key, value string) {
	all := m.annotations()
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	data, _ := json.Marshal(all) // a map of strings is always JSON
	rest := make(map[string]json.RawMessage, len(m.rest)+1)
	maps.Copy(rest, m.rest)
	rest[annotations] = data
	m.rest = rest
}

// annotations returns a map of the caller's own, nil when there are none that can be read.
func (m Metadata) annotations() (all map[string]string) {
	if raw, ok := m.rest[annotations]; ok && json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}
