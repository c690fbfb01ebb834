// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"encoding/json"
	"net/netip"

	"calico-cni/pkg/model"
)

// Annotations of a Node that start-up writes, besides those of pkg/model.
const (
	annotationASNumber   = "projectcalico.org/ASNumber"
	annotationInterfaces = "projectcalico.org/Interfaces"
)

// Annotations returns the annotations of a node with these addresses. An address that is not valid has no entry: its
// annotation stays.
func (s Settings) Annotations(ipv4, ipv6 netip.Prefix, interfaces string) map[string]string {
	want := map[string]string{}
	for annotation, addr := range map[string]netip.Prefix{
		model.AnnotationIPv4Address: ipv4, model.AnnotationIPv6Address: ipv6,
	} {
		if addr.IsValid() {
			want[annotation] = addr.String()
		}
	}
	if s.ASNumber != "" {
		want[annotationASNumber] = s.ASNumber
	}
	if interfaces != "" {
		want[annotationInterfaces] = interfaces
	}
	return want
}

// AnnotationPatch returns a merge patch that gives a node the wanted annotations, or nil if it has them. An empty value
// removes an annotation.
func AnnotationPatch(now, want map[string]string) []byte {
	changes := map[string]*string{}
	for key, value := range want {
		switch old, found := now[key]; {
		case value == "" && found:
			changes[key] = nil
		case value != "" && old != value:
			changes[key] = &value
		}
	}
	if len(changes) == 0 {
		return nil
	}
	return encode(map[string]any{"metadata": map[string]any{"annotations": changes}})
}

// encode encodes a value that consists of maps, slices and strings, which cannot fail.
func encode(value any) []byte {
	data, _ := json.Marshal(value)
	return data
}
