// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/pending"
)

// Disk is the state of a node on disk, with the clocks that its files refer to.
type Disk struct {
	// State is a directory that need not survive a reboot, Keep one that must.
	State, Keep string
	// Now is the wall clock, Boot the time since boot.
	Now  func() time.Time
	Boot func() time.Duration
}

// labelled records that the node's affinities have labels. Calico's plugin reads the same file.
func (d Disk) labelled() nodestate.Once {
	return nodestate.Once(filepath.Join(d.State, "ipam_upgraded"))
}

// Marks are the in-flight marks.
func (d Disk) Marks() nodestate.Marks {
	return nodestate.Marks{Dir: filepath.Join(d.State, "adding"), Boot: d.Boot}
}

// deletions are the deletion records.
func (d Disk) deletions() nodestate.Deletions {
	return nodestate.Deletions{Dir: filepath.Join(d.State, "deleted"), Boot: d.Boot}
}

func (d Disk) conditions() nodestate.Conditions {
	return nodestate.Conditions(filepath.Join(d.State, "trouble"))
}

func (d Disk) queue() pending.Queue {
	return pending.Queue{Dir: filepath.Join(d.Keep, "pending"), Now: d.Now}
}

// pace limits the rate at which the node settles queued releases with an API server. Each has a schedule of its own, so
// that an outage of one does not delay the releases of another.
func (d Disk) pace(server Server) *pending.Pace {
	name := sha1.Sum(fmt.Appendf(nil, "%q %q", server.Kubeconfig, server.APIRoot))
	file := filepath.Join(d.State, "settling", hex.EncodeToString(name[:]))
	return &pending.Pace{File: file, Boot: d.Boot, Random: rand.Float64}
}

func (d Disk) borrowed() nodestate.Borrowed {
	return nodestate.Borrowed(filepath.Join(d.Keep, "borrowed"))
}

func (d Disk) blockCache(c Connection, codec blockCodec) blockCache {
	files := nodestate.BlockFiles{Dir: filepath.Join(d.State, "blocks"), Cluster: c.Host(), Boot: d.Boot}
	return blockCache{files: files, codec: codec}
}
