// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"context"
	"errors"

	"calico-cni/pkg/kubeapi"
)

// Probe returns the group of a cluster: V3 if the API server serves V3 and not V1, else V1. It is for programs that no
// configuration tells the group. It makes one request, or two if V1 is not served.
func Probe(ctx context.Context, t Transport) (Group, error) {
	for _, group := range []Group{V1, V3} {
		_, err := New(t, group, never{}).Pools(ctx)
		if err == nil {
			return group, nil
		}
		if !errors.Is(err, kubeapi.ErrNotServed) {
			return "", err
		}
	}
	return V1, nil
}

// never is a Once whose task is not done.
type never struct{}

func (never) Done() bool { return false }

func (never) Record() error { return nil }
