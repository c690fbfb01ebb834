// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"calico-cni/internal/hostdir"
	"calico-cni/internal/hostlock"
	"calico-cni/internal/safeopen"
)

// Borrowed is the directory that records from which blocks of other nodes this node has borrowed, so that GC finds
// these blocks without a list of all blocks. It has one file for each block, named after the block. The content is a
// random number that changes each time the node borrows. It has no version: readers only compare it.
type Borrowed string

// BorrowedBlock is a block of another node, as List found it.
type BorrowedBlock struct {
	CIDR netip.Prefix
	// content identifies the last time that the node borrowed from the block.
	content string
}

const (
	// borrowedLock is held while a file is written or removed. No block has this name.
	borrowedLock    = ".lock"
	borrowedTimeout = 5 * time.Second
)

// Add records a block.
func (b Borrowed) Add(cidr netip.Prefix) error {
	if err := hostdir.Make(string(b), 0o755); err != nil {
		return fmt.Errorf("record borrowed block %s: %w", cidr, err)
	}
	unlock, err := b.lock()
	if err != nil {
		return fmt.Errorf("record borrowed block %s: %w", cidr, err)
	}
	defer unlock()
	content := strconv.FormatUint(rand.Uint64(), 16)
	if err := safeopen.WriteFile(b.path(cidr), []byte(content), 0o644); err != nil {
		return fmt.Errorf("record borrowed block %s: %w", cidr, err)
	}
	return nil
}

// Remove removes a block, unless the node has borrowed from it again since List.
func (b Borrowed) Remove(block BorrowedBlock) {
	unlock, err := b.lock()
	if err != nil {
		return
	}
	defer unlock()
	if data, err := safeopen.Read(b.path(block.CIDR)); err == nil && string(data) == block.content {
		_ = os.Remove(b.path(block.CIDR))
	}
}

// List returns the recorded blocks.
func (b Borrowed) List() ([]BorrowedBlock, error) {
	entries, err := os.ReadDir(string(b))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read borrowed blocks: %w", err)
	}
	var blocks []BorrowedBlock
	for _, e := range entries {
		cidr, err := netip.ParsePrefix(strings.Replace(e.Name(), "_", "/", 1))
		if err != nil {
			continue
		}
		// A block whose file cannot be read is listed, and Remove keeps it.
		data, _ := safeopen.Read(b.path(cidr))
		blocks = append(blocks, BorrowedBlock{cidr, string(data)})
	}
	return blocks, nil
}

func (b Borrowed) lock() (unlock func(), err error) {
	return hostlock.Within(borrowedTimeout, filepath.Join(string(b), borrowedLock))
}

func (b Borrowed) path(cidr netip.Prefix) string { return filepath.Join(string(b), cidrName(cidr)) }

// cidrName returns a CIDR as a file name.
func cidrName(cidr netip.Prefix) string { return strings.Replace(cidr.String(), "/", "_", 1) }
