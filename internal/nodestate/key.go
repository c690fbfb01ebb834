// SPDX-License-Identifier: Apache-2.0

// Package nodestate keeps the small stores of a node on disk: in-flight marks, deletion records, conditions, borrowed
// blocks, cached blocks and one-time work. Many processes use the files at the same time. docs/on-disk.md lists them.
package nodestate

import (
	"crypto/sha1"
	"encoding/hex"
	"path/filepath"
)

// Key identifies an attachment.
type Key struct{ Network, ContainerID, IfName string }

// Plugin distinguishes the files of plugins that run for the same attachment. An ADD of calico that runs calico-ipam
// as a process has two marks.
type Plugin string

// The plugins that have files.
const (
	Main Plugin = "main"
	IPAM Plugin = "ipam"
)

var plugins = [...]Plugin{Main, IPAM}

// path returns the path of the attachment's file in dir. The name is a hash, because a network name and a container ID
// may each be as long as a file name.
func (k Key) path(dir string, plugin Plugin) string {
	return filepath.Join(dir, hash(k.Network+"/"+k.ContainerID+"/"+k.IfName)+"."+string(plugin))
}

func hash(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
