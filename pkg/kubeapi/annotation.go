// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"maps"
)

const annotations = "annotations"

// Annotation returns the value of one annotation, or "" if it is absent. The annotations keep their original encoding
// until one is set.
func (m Metadata) Annotation(key string) string { return m.annotations()[key] }

// SetAnnotation sets one annotation. Earlier copies of the metadata are unchanged.
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

// annotations returns a new map, or nil if there are no readable annotations.
func (m Metadata) annotations() (all map[string]string) {
	if raw, ok := m.rest[annotations]; ok && json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}
