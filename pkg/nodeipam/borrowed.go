// SPDX-License-Identifier: Apache-2.0

package nodeipam

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

// borrowed is a directory that remembers which blocks of other nodes this one has borrowed from, so that a collection
// finds them without asking for every block of the cluster. It has a file for each, named after the block. What a file
// holds changes with each time that the node borrows; that of the release before is empty.
type borrowed string

// lender is a block of another node, as it was remembered at some time.
type lender struct {
	cidr netip.Prefix
	mark string
}

const (
	// borrowedLock keeps adding and forgetting apart. Its name is no block's.
	borrowedLock     = ".lock"
	borrowedPatience = 5 * time.Second
)

// add remembers a block.
func (b borrowed) add(cidr netip.Prefix) error {
	if err := hostdir.Make(string(b), 0o755); err != nil {
		return fmt.Errorf("remember block %s as borrowed from: %w", cidr, err)
	}
	unlock, err := b.lock()
	if err != nil {
		return fmt.Errorf("remember block %s as borrowed from: %w", cidr, err)
	}
	defer unlock()
	mark := strconv.FormatUint(rand.Uint64(), 16)
	if err := safeopen.WriteFile(b.path(cidr), []byte(mark), 0o644); err != nil {
		return fmt.Errorf("remember block %s as borrowed from: %w", cidr, err)
	}
	return nil
}

// forget drops a block, unless it was borrowed from again since it was listed.
func (b borrowed) forget(l lender) {
	unlock, err := b.lock()
	if err != nil {
		return
	}
	defer unlock()
	if mark, err := b.markOf(l.cidr); err == nil && mark == l.mark {
		_ = os.Remove(b.path(l.cidr))
	}
}

// list returns the blocks.
func (b borrowed) list() ([]lender, error) {
	entries, err := os.ReadDir(string(b))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read blocks borrowed from: %w", err)
	}
	var lenders []lender
	for _, e := range entries {
		cidr, err := netip.ParsePrefix(strings.Replace(e.Name(), "_", "/", 1))
		if err != nil {
			continue
		}
		// A block whose file cannot be read is looked at, and stays.
		mark, _ := b.markOf(cidr)
		lenders = append(lenders, lender{cidr, mark})
	}
	return lenders, nil
}

// markOf tells one borrowing from the next. The release before writes the same, empty content each time, so that the
// time of the file counts too: not which is later, but whether it has changed.
func (b borrowed) markOf(cidr netip.Prefix) (string, error) {
	data, err := safeopen.Read(b.path(cidr))
	if err != nil {
		return "", err
	}
	info, err := os.Stat(b.path(cidr))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s %d", data, info.ModTime().UnixNano()), nil
}

func (b borrowed) lock() (unlock func(), err error) {
	return hostlock.Within(borrowedPatience, filepath.Join(string(b), borrowedLock))
}

func (b borrowed) path(cidr netip.Prefix) string {
	return filepath.Join(string(b), strings.Replace(cidr.String(), "/", "_", 1))
}
