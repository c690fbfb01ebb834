// SPDX-License-Identifier: Apache-2.0

// Package apigroup chooses the API group of Calico's objects: crd.projectcalico.org/v1, or projectcalico.org/v3 of
// newer Calico. The plugins do not choose: install writes the group into their configuration, so that no ADD makes a
// request for it.
package apigroup

import "calico-cni/pkg/install/config"

// Served is what an API server serves.
type Served struct {
	// V1 and V3 say which groups are served, by CustomResourceDefinitions or by another API server.
	V1, V3 bool
	// Migrating says that a migration copies Calico's objects from V1 to V3, Migrated that it has copied all.
	Migrating, Migrated bool
}

// Choose returns the group to use. If both are served, V3 is usually the API server of Calico, which stores its objects
// in V1. If neither is served, it returns V1, as Calico does.
func (s Served) Choose() string {
	if s.V3 && (!s.V1 || s.Migrated) {
		return config.V3Group
	}
	return config.CRDGroup
}
