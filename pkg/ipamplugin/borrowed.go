package ipamplugin

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// borrowed is a directory that remembers which blocks of other nodes this one has borrowed from, so that a collection
// finds them without asking for every block of the cluster. It has an empty file for each, named after the block.
type borrowed string

// add remembers a block.
func (b borrowed) add(cidr netip.Prefix) error {
	if err := os.MkdirAll(string(b), 0o755); err != nil {
		return fmt.Errorf("remember block %s as borrowed from: %w", cidr, err)
	}
	if err := os.WriteFile(b.path(cidr), nil, 0o644); err != nil {
		return fmt.Errorf("remember block %s as borrowed from: %w", cidr, err)
	}
	return nil
}

// forget drops a block, unless it was borrowed from again since.
func (b borrowed) forget(cidr netip.Prefix, since time.Time) {
	if info, err := os.Stat(b.path(cidr)); err == nil && info.ModTime().Before(since) {
		_ = os.Remove(b.path(cidr))
	}
}

// list returns the blocks.
func (b borrowed) list() ([]netip.Prefix, error) {
	entries, err := os.ReadDir(string(b))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read blocks borrowed from: %w", err)
	}
	var cidrs []netip.Prefix
	for _, e := range entries {
		if cidr, err := netip.ParsePrefix(strings.Replace(e.Name(), "_", "/", 1)); err == nil {
			cidrs = append(cidrs, cidr)
		}
	}
	return cidrs, nil
}

func (b borrowed) path(cidr netip.Prefix) string {
	return filepath.Join(string(b), strings.Replace(cidr.String(), "/", "_", 1))
}
