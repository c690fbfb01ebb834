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

// etcdStartTimeout limits the start of etcd, in which it replays its log and elects itself as leader.
const etcdStartTimeout = time.Minute

// startEtcd starts a single-member etcd with its files in dir, on free ports of the loopback interface, and returns it
// when it is ready. The caller closes it.
//
// It never calls fsync. Its files survive a kill of the process, which is sufficient for tests, but not a crash of the
// machine. Log segments are small, because on tmpfs an empty segment uses memory.
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
