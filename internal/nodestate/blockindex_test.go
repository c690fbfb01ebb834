// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// TestAffinityOfIndexedBlockIsVerifiedAgain advances the boot clock between ADDs.
func TestAffinityOfIndexedBlockIsVerifiedAgain(t *testing.T) {
	files, clock := newBlockFiles(t)
	wantVerify := func(when string, want bool) {
		t.Helper()
		if got := files.MustVerify("a", cidr); got != want || len(files.WithRoom("a")) != 1 {
			t.Errorf("%s: verify %v, want %v; with room %v", when, got, want, files.WithRoom("a"))
		}
	}
	cidrs := []netip.Prefix{cidr}
	files.SetWithRoom("a", cidrs)
	wantVerify("never verified", true)
	files.SetWithRoom("a", cidrs, cidr)
	wantVerify("just verified", false)
	*clock += verifyAfter - 1
	files.SetWithRoom("a", cidrs)
	wantVerify("an ADD that does not verify later", false)
	*clock++
	wantVerify("after five minutes", true)
	files.SetWithRoom("a", cidrs, cidr)
	wantVerify("verified again", false)
	files.SetWithRoom("a", nil)
	files.SetWithRoom("a", cidrs)
	wantVerify("removed and indexed again", true)
	files.SetWithRoom("a", cidrs, cidr)
	*clock = time.Minute
	wantVerify("the time lies in the future", true)
}

// TestIndexOfOlderPlugins reads an index without times, and checks that older plugins can read the new one: they skip
// lines that are no CIDR.
func TestIndexOfOlderPlugins(t *testing.T) {
	files, _ := newBlockFiles(t)
	files.SetWithRoom("a", []netip.Prefix{cidr}, cidr)
	data, err := os.ReadFile(files.index("a"))
	if err != nil {
		t.Fatal(err)
	}
	var read []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n")[1:] {
		if cidr, err := netip.ParsePrefix(line); err == nil {
			read = append(read, cidr.String())
		}
	}
	if len(read) != 1 || read[0] != cidr.String() {
		t.Errorf("older plugins read %v of\n%s", read, data)
	}
	if err := os.WriteFile(files.index("a"), []byte(indexHeader+"\n10.0.0.0/26\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if blocks := files.WithRoom("a"); len(blocks) != 1 || !files.MustVerify("a", cidr) {
		t.Errorf("with room %v, verify %v", blocks, files.MustVerify("a", cidr))
	}
}
