// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"calico-cni/test/node"
)

// TestTwentyNodesShareASmallPool runs the built calico-ipam for twenty nodes concurrently, on a pool with fewer blocks
// than nodes. They claim, borrow and take over. No address is allocated twice, and nothing is left in the end.
func TestTwentyNodesShareASmallPool(t *testing.T) {
	installed(t)
	const nodes, rounds, each = 20, 3, 2
	must(t, n.Datastore.CreatePool(t.Context(), "shared", "10.60.0.0/25", 29))
	t.Cleanup(func() { must(t, n.Datastore.Delete(withoutCancel(t.Context()), "ippools", "shared")) })
	locks := t.TempDir()
	held := holders{of: map[string]string{}}
	unchanged(t, "twenty nodes", func() {
		var wg sync.WaitGroup
		for i := range nodes {
			name := fmt.Sprint("sim-", i)
			config, err := n.Config(map[string]any{
				"nodename": name, "nodename_file_optional": true, "ipam_lock_file": filepath.Join(locks, name),
				"ipam.assign_ipv6": "false", "ipam.ipv4_pools": []string{"shared"},
			})
			must(t, err)
			wg.Go(func() {
				for round := range rounds {
					live(t, &held, config, name, round, each)
				}
			})
		}
		wg.Wait()
	})
	if len(held.of) != 0 {
		t.Errorf("still allocated: %v", held.of)
	}
}

// holders are the addresses in use, with their owners.
type holders struct {
	sync.Mutex
	of map[string]string
}

// live adds and deletes the pods of one node.
func live(t *testing.T, held *holders, config map[string]any, name string, round, pods int) {
	for i := range pods {
		id := fmt.Sprintf("%s-%d-%d", name, round, i)
		a := ipam(t, "ADD", id, config)
		var result struct{ IPs []struct{ Address string } }
		if a.Exit != 0 || json.Unmarshal([]byte(a.Stdout), &result) != nil || len(result.IPs) != 1 {
			t.Errorf("ADD %s: %+v", id, a)
			return
		}
		held.Lock()
		if other := held.of[result.IPs[0].Address]; other != "" {
			t.Errorf("%s was allocated to %s while %s has it", result.IPs[0].Address, id, other)
		}
		held.of[result.IPs[0].Address] = id
		held.Unlock()
	}
	for i := range pods {
		id := fmt.Sprintf("%s-%d-%d", name, round, i)
		held.Lock()
		for addr, holder := range held.of {
			if holder == id {
				delete(held.of, addr)
			}
		}
		held.Unlock()
		if a := ipam(t, "DEL", id, config); a.Exit != 0 {
			t.Errorf("DEL %s: %+v", id, a)
		}
	}
}

func ipam(t *testing.T, command, id string, config map[string]any) node.Answer {
	a, err := n.Run(withoutCancel(t.Context()), node.Call{
		Plugin: "calico-ipam", Command: command, Config: config,
		Env: map[string]string{"CNI_CONTAINERID": id, "CNI_NETNS": "/run/netns/none"},
	})
	if err != nil {
		t.Error(err)
	}
	return a
}
