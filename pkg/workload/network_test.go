// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestHandlesOfValidNetworksAreObjectNames compares the check of a network name with the check of a handle.
func TestHandlesOfValidNetworksAreObjectNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,12}(x{170})?`).Draw(t, "name")
		id := ID{ContainerID: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "container")}
		handle := id.HandleID(name)
		if ValidNetwork(name) && !ValidSubdomain(strings.ToLower(handle)) {
			t.Fatalf("network %q is valid, but its handle %q is not", name, handle)
		}
		if alias := handle + "/" + strings.Repeat("i", maxIfName); ValidNetwork(name) && len(alias) > 255 {
			t.Fatalf("network %q is valid, but its alias has %d bytes", name, len(alias))
		}
		if !ValidNetwork(name) && len(name) <= MaxNetwork && ValidSubdomain(strings.ToLower(handle)) {
			t.Fatalf("network %q is rejected, but its handle %q is valid", name, handle)
		}
	})
}
