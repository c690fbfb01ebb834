// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kubeapi"
)

// TestExists covers an object that exists and one that does not.
func TestExists(t *testing.T) {
	_, client := cluster(t)
	s := crdstore.New(client, crdstore.V1, nodestate.Once(filepath.Join(t.TempDir(), "labelled")))
	p := netip.MustParsePrefix("10.78.0.0/26")
	if _, err := s.Blocks().Create(t.Context(), p, block.New(p, "host:n", time.Now())); err != nil {
		t.Fatal(err)
	}
	r := kubeapi.NewResource[kubeapi.Object[spec.IPAMBlock]](client, spec.GroupVersion, spec.IPAMBlocks)
	for name, want := range map[string]bool{"10-78-0-0-26": true, "10-78-0-0-27": false} {
		if got, err := r.Exists(t.Context(), name); err != nil || got != want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
