package ipamplugin

import (
	"crypto/sha1"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/pkg/ipam"
)

// remembered is a directory with a file for each node of this host, mostly one, that has the block of each family in
// which it found room last, a line each. Nothing is decided by it: the block itself says whose it is.
type remembered string

// load returns the block of each family that is wanted, or none if it does not have them all.
func (r remembered) load(usual Request) []netip.Prefix {
	data, err := os.ReadFile(r.path(usual.Node))
	if err != nil {
		return nil
	}
	all := map[bool]netip.Prefix{}
	for line := range strings.Lines(string(data)) {
		if cidr, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n")); err == nil {
			all[cidr.Addr().Is6()] = cidr
		}
	}
	var cidrs []netip.Prefix
	for _, w := range usual.wants() {
		if !all[w.IPv6].IsValid() {
			return nil
		}
		cidrs = append(cidrs, all[w.IPv6])
	}
	return cidrs
}

// update remembers the blocks of an assignment instead of those of their families. One that has no more to give, or is
// another node's, is not worth it. What cannot be remembered is looked up.
func (r remembered) update(node string, assigned []ipam.Assigned) {
	before, _ := os.ReadFile(r.path(node))
	var now []string
	for line := range strings.Lines(string(before)) {
		cidr, err := netip.ParsePrefix(strings.TrimSuffix(line, "\n"))
		if err == nil && !slices.ContainsFunc(assigned, func(a ipam.Assigned) bool { return a.Block.Addr().Is6() == cidr.Addr().Is6() }) {
			now = append(now, line)
		}
	}
	for _, got := range assigned {
		if !got.Last && !got.Borrowed && !got.Again {
			now = append(now, got.Block.String()+"\n")
		}
	}
	slices.Sort(now)
	if text := strings.Join(now, ""); text != string(before) && os.MkdirAll(string(r), 0o755) == nil {
		_ = os.WriteFile(r.path(node), []byte(text), 0o644)
	}
}

// path is a hash, for a node's name may have what a file's may not.
func (r remembered) path(node string) string {
	sum := sha1.Sum([]byte(node))
	return filepath.Join(string(r), hex.EncodeToString(sum[:]))
}
