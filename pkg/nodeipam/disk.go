// SPDX-License-Identifier: Apache-2.0

package nodeipam

import (
	"math/rand/v2"
	"path/filepath"
	"time"

	"calico-cni/internal/adding"
	"calico-cni/internal/deletion"
	"calico-cni/internal/oncefile"
	"calico-cni/internal/trouble"
	"calico-cni/pkg/kube"
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
func (d Disk) labelled() oncefile.File { return oncefile.File(filepath.Join(d.State, "ipam_upgraded")) }

// Marks are the marks of attachments that are being added.
func (d Disk) Marks() adding.Marks {
	return adding.Marks{Dir: filepath.Join(d.State, "adding"), Boot: d.Boot}
}

// deletions are the records of attachments that a DEL has released.
func (d Disk) deletions() deletion.Records {
	return deletion.Records{Dir: filepath.Join(d.State, "deleted"), Boot: d.Boot}
}

func (d Disk) trouble() trouble.Dir { return trouble.Dir(filepath.Join(d.State, "trouble")) }

func (d Disk) queue() pending.Queue {
	return pending.Queue{Dir: filepath.Join(d.Keep, "pending"), Now: d.Now, Pace: d.pace()}
}

// pace limits the rate at which the node settles queued releases.
func (d Disk) pace() *pending.Pace {
	return &pending.Pace{File: filepath.Join(d.State, "settling"), Boot: d.Boot, Random: rand.Float64}
}

func (d Disk) borrowed() borrowed { return borrowed(filepath.Join(d.Keep, "borrowed")) }

func (d Disk) blockCache(client *kube.Client, blocks blockCodec) blockCache {
	return blockCache{dir: filepath.Join(d.State, "blocks"), cluster: client.Host(), blocks: blocks, boot: d.Boot}
}
