// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"net/netip"
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
