// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"hash/fnv"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// marksDir contains the in-flight marks.
const marksDir = "/var/run/calico/cni/adding"

// marked returns which of some containers have a mark.
func marked(t *testing.T, containerIDs ...string) string {
	t.Helper()
	var found []string
	for _, id := range containerIDs {
		if len(marksOf(t, id)) > 0 {
			found = append(found, id)
		}
	}
	return strings.Join(found, " ")
}

// marksOf returns the marks of a container, with their content.
func marksOf(t *testing.T, containerID string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(marksDir, "*"))
	must(t, err)
	found := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(t, err)
		if strings.Contains(string(data), " "+containerID+" ") {
			found[path] = string(data)
		}
	}
	return found
}

var markTime = regexp.MustCompile(`\d{20}`)

// ageMarks changes the marks of containers to those of an earlier boot.
func ageMarks(t *testing.T, containerIDs ...string) {
	t.Helper()
	for _, id := range containerIDs {
		for path, data := range marksOf(t, id) {
			must(t, os.WriteFile(path, []byte(markTime.ReplaceAllString(data, "09000000000000000000")), 0o600))
		}
	}
}

// TestGCRemovesMarksOfFailedAdds simulates a failed ADD without a DEL, beside a running pod.
func TestGCRemovesMarksOfFailedAdds(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			named := map[string]any{"name": "marks-" + w.String(), "ipam.exec": w.exec}
			live, failed := newPod(t, "marks-live-"+w.String()), newPod(t, "marks-failed-"+w.String())
			attach(t, w.plugin, live, named)
			if a := ask(t, w.plugin, "ADD", failed,
				plus(named, "ipam.ipv4_pools", []string{"no-such-pool"})); a.Exit == 0 {
				t.Fatalf("ADD: %+v", a)
			}
			collect := func(what, want string) {
				t.Helper()
				expectOK(t, what, ask(t, w.plugin, "GC", nil, valid(named, live.ContainerID, "eth0")))
				if got := marked(t, live.ContainerID, failed.ContainerID); got != want {
					t.Errorf("%s: marks of %q, want %q", what, got, want)
				}
			}
			collect("GC at once", live.ContainerID+" "+failed.ContainerID)
			ageMarks(t, live.ContainerID, failed.ContainerID)
			collect("GC later", live.ContainerID)
			expectOK(t, "DEL", ask(t, w.plugin, "DEL", live, named))
			if got := marked(t, live.ContainerID); got != "" {
				t.Errorf("DEL left the mark of %s", got)
			}
		})
	}
}

// TestGCRemovesInterfaceOfKilledAdd uses the interface of an ADD that was killed before it set the alias, which GC
// finds through the in-flight mark, and the interface of an unknown ADD.
func TestGCRemovesInterfaceOfKilledAdd(t *testing.T) {
	named, killed := map[string]any{"name": "half-made"}, newPod(t, "half-made")
	halfMade := func(name, owner string) *netlink.Veth {
		t.Helper()
		h := fnv.New32a()
		_, _ = h.Write([]byte(owner + "/eth0"))
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{
			Name: name, Group: 1<<30 | h.Sum32()&(1<<30-1), HardwareAddr: net.HardwareAddr{
				0xee, 0xee, 0xee, 0xee, 0xee,
				0xee,
			},
		}, PeerName: name + "p"}
		must(t, netlink.LinkAdd(link))
		t.Cleanup(func() { _ = netlink.LinkDel(link) })
		return link
	}
	mine, others := halfMade("calihalfmade0", "half-made."+killed.ContainerID), halfMade("calihalfmade1",
		"half-made.unknown")
	there := func(link *netlink.Veth) bool {
		_, err := netlink.LinkByName(link.Name)
		return err == nil
	}
	collect := func(what string, want bool, spared ...string) {
		t.Helper()
		expectOK(t, what, ask(t, "calico", "GC", nil, valid(named, spared...)))
		if there(mine) != want || !there(others) {
			t.Errorf("%s: the interface exists: %t, want %t; that of the other ADD: %t, want true", what, there(mine),
				want, there(others))
		}
	}
	collect("GC without a mark", true)
	if a := ask(t, "calico", "ADD", killed, plus(named, "ipam.ipv4_pools", []string{"no-such-pool"})); a.Exit == 0 {
		t.Fatalf("ADD: %+v", a)
	}
	collect("GC that spares the attachment", true, killed.ContainerID, "eth0")
	own := named
	named = map[string]any{"name": "other"}
	collect("GC of another network", true)
	named = own
	collect("GC", false)
}
