// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/workload"
)

// young is the age up to which a lease may belong to an ADD that is still running. The kubelet allows four minutes for
// a sandbox.
const young = 5 * time.Minute

type attachment struct{ containerID, ifName string }

// cache holds the attachments of a network that the runtime's CNI library has cached: those added and not yet deleted.
type cache map[attachment]workload.Args

// readCache reads the cache directory of the CNI library. The cache is empty if the directory is missing or has no
// entry of the network.
//
// Source: libcni, cacheAdd: a file NETWORK-CONTAINERID-IFNAME, in JSON, from a successful ADD to a successful DEL.
func readCache(results fs.FS, network string) cache {
	known := cache{}
	entries, err := fs.ReadDir(results, ".")
	if err != nil {
		return known
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), network+"-") || !e.Type().IsRegular() {
			continue
		}
		var cached struct {
			Network     string      `json:"networkName"`
			ContainerID string      `json:"containerId"`
			IfName      string      `json:"ifName"`
			Args        [][2]string `json:"cniArgs"`
		}
		data, err := fs.ReadFile(results, e.Name())
		if err != nil || json.Unmarshal(data, &cached) != nil || cached.Network != network {
			continue
		}
		pairs := []string{"IgnoreUnknown=1"}
		for _, pair := range cached.Args {
			pairs = append(pairs, pair[0]+"="+pair[1])
		}
		// Unreadable arguments identify no pod.
		args, _ := workload.ParseArgs(strings.Join(pairs, ";"))
		known[attachment{cached.ContainerID, cached.IfName}] = args
	}
	return known
}

// signs is the evidence that distinguishes the lease of a live container from a leaked one.
type signs struct {
	cache cache
	// routed are the addresses with a host route.
	routed []netip.Addr
	now    time.Time
}

// signs collects the evidence about the leases of the network.
func (m Migration) signs() signs {
	s := signs{cache: readCache(os.DirFS(m.Results), m.Network), now: m.Now()}
	if f, err := os.Open(filepath.Join(m.Proc, "route")); err == nil {
		s.routed = append(s.routed, routes4(f, runtime.GOARCH == "s390x")...)
		_ = f.Close()
	}
	if f, err := os.Open(filepath.Join(m.Proc, "ipv6_route")); err == nil {
		s.routed = append(s.routed, routes6(f)...)
		_ = f.Close()
	}
	return s
}

// alive reports whether a lease is or may be in use: the runtime has cached the attachment, the address has a host
// route, or the lease is young. If the runtime's cache has no entry of the network, every lease counts as alive.
func (s signs) alive(l Lease) bool {
	if l.ContainerID == "" {
		return slices.Contains(s.routed, l.Addr)
	}
	_, known := s.cache[attachment{l.ContainerID, l.IfName}]
	return known || len(s.cache) == 0 || slices.Contains(s.routed, l.Addr) || s.now.Sub(l.Since) < young
}

// routes4 returns the addresses of host routes in the kernel's IPv4 table, whose columns are Iface, Destination,
// Gateway, Flags, RefCnt, Use, Metric, Mask (proc(5)). Numbers are in the machine's byte order: little-endian on all
// platforms of Kubernetes except s390x.
func routes4(table io.Reader, bigEndian bool) (addrs []netip.Addr) {
	for s := bufio.NewScanner(table); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 8 || f[7] != "FFFFFFFF" {
			continue
		}
		b, err := hex.DecodeString(f[1])
		if err != nil || len(b) != 4 {
			continue
		}
		if !bigEndian {
			slices.Reverse(b)
		}
		addrs = append(addrs, netip.AddrFrom4([4]byte(b)))
	}
	return addrs
}

// routes6 does the same for IPv6: each line begins with the destination and its length in hex. Routes on lo belong to
// the host itself.
func routes6(table io.Reader) (addrs []netip.Addr) {
	for s := bufio.NewScanner(table); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 10 || f[1] != "80" || f[9] == "lo" {
			continue
		}
		if b, err := hex.DecodeString(f[0]); err == nil && len(b) == 16 {
			addrs = append(addrs, netip.AddrFrom16([16]byte(b)))
		}
	}
	return addrs
}
