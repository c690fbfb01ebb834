// SPDX-License-Identifier: Apache-2.0

package ipam_test

import (
	"context"
	"net/netip"
)

func (c *crashing) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) (cidrs []netip.Prefix, err error) {
	err = c.call("read overlapping blocks", func() (err error) {
		cidrs, err = c.Store.BlocksOverlapping(ctx, cidr)
		return err
	})
	return cidrs, err
}

func (s actorStore) BlocksOverlapping(ctx context.Context, cidr netip.Prefix) (cidrs []netip.Prefix, err error) {
	err = s.a.call(step{what: "read blocks overlapping", key: cidr}, func() (err error) {
		cidrs, err = s.Store.BlocksOverlapping(ctx, cidr)
		return err
	})
	return cidrs, err
}
