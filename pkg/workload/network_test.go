package workload

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestHandlesOfAValidNetworkAreNamesOfObjects compares the two halves of a check: of the network, before there is a pod, and
// of a pod's handle.
func TestHandlesOfAValidNetworkAreNamesOfObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_.\-]{0,12}(x{170})?`).Draw(t, "name")
		id := ID{ContainerID: rapid.StringMatching(`[0-9a-f]{64}`).Draw(t, "container")}
		handle := id.HandleID(name)
		if ValidNetwork(name) && !ValidSubdomain(strings.ToLower(handle)) {
			t.Fatalf("network %q is valid, and its handle %q is not", name, handle)
		}
		if alias := handle + "/" + strings.Repeat("i", maxIfName); ValidNetwork(name) && len(alias) > 255 {
			t.Fatalf("network %q is valid, and its alias has %d bytes", name, len(alias))
		}
		if !ValidNetwork(name) && len(name) <= MaxNetwork && ValidSubdomain(strings.ToLower(handle)) {
			t.Fatalf("network %q is refused, and its handle %q is valid", name, handle)
		}
	})
}
