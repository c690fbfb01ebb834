// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"context"
	"testing"
	"time"

	"calico-cni/pkg/kubeapi"
)

// TestLimitedClientSendsBurst uses a rate at which the next request would exceed the deadline of its context. The
// client must fail immediately.
func TestLimitedClientSendsBurst(t *testing.T) {
	s := cluster(t)
	for _, c := range []struct {
		qps          float32
		burst, sends int
	}{{0.001, 1, 1}, {0.001, 3, 3}, {0.001, 0, 10}, {0, 1, 30}, {-1, 1, 30}} {
		client := admin(t, s).Limited(c.qps, c.burst)
		var err error
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		sent := 0
		for ; sent < 30; sent++ {
			if _, err = kubeapi.Namespace(ctx, client, "default"); err != nil {
				break
			}
		}
		if sent != c.sends {
			t.Errorf("qps %v, burst %d: %d requests were sent, want %d: %v", c.qps, c.burst, sent, c.sends, err)
		}
		if sent < 30 {
			wantError(t, "one too many", err, kubeapi.ErrUnavailable, "limits requests to qps 0.001 and burst")
		}
	}
}
