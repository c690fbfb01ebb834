// SPDX-License-Identifier: Apache-2.0

package nft_test

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"calico-cni/internal/nettest"
	"calico-cni/pkg/agent/kernel/nft"
)

func TestFailedTransactionChangesNothingAndLeavesNoAnswers(t *testing.T) {
	nettest.NewNetNS(t).Do(func() {
		c, err := nft.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		chain := nft.Chain{Name: "x", Rules: []nft.Rule{nft.NewRule("drop", []nft.Expr{nft.Drop()})}}
		// The kernel returns an error for each of the missing sets.
		err = c.Commit(nft.Transaction{DeleteSets: []string{"a", "b", "c"}, Chains: []nft.Chain{chain}})
		if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "delete set a") {
			t.Errorf("error %v, want one that names the set", err)
		}
		if got, err := c.Read([]string{""}); err != nil || len(got.Chains) != 0 {
			t.Errorf("after a failed transaction: %+v, %v", got, err)
		}
		err = c.Commit(nft.Transaction{DeleteSets: []string{"a", "b", "c"}})
		if !errors.Is(err, unix.ENOENT) {
			t.Errorf("error %v", err)
		}
		if err := c.Commit(nft.Transaction{Chains: []nft.Chain{chain}}); err != nil {
			t.Errorf("a good transaction after a failed one: %v", err)
		}
	})
}
