// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
)

// etcdStartTimeout is how long etcd may take to replay its log and elect itself.
const etcdStartTimeout = time.Minute

// startEtcd runs a one-member etcd on the files in dir, listening on free ports of the loopback interface, and
// returns it when it serves. The caller closes it.
//
// It never calls fsync: its files outlive a killed process, which is all that a test asks, but not a crash of
// the machine. Logs are allocated in small segments, because on tmpfs an empty segment is memory in use.
func startEtcd(ctx context.Context, dir string) (*embed.Etcd, error) {
	wal.SegmentSizeBytes = 8 << 20
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls, config.AdvertiseClientUrls = loopback, loopback
	config.ListenPeerUrls, config.AdvertisePeerUrls = loopback, loopback
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd on %s: %w", dir, err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err = <-etcd.Err():
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-time.After(etcdStartTimeout):
		err = fmt.Errorf("not ready after %v", etcdStartTimeout)
	}
	etcd.Close()
	return nil, fmt.Errorf("start etcd on %s: %w", dir, err)
}
