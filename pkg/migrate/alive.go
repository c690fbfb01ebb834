package migrate

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"calico-cni/pkg/workload"
)

// young is the age up to which a lease may be that of an ADD which is still on its way. The kubelet gives a sandbox four
// minutes.
const young = 5 * time.Minute

type attachment struct{ containerID, ifName string }

// cache is what the runtime's CNI library remembers of a network: the attachments that were added and not deleted since.
type cache map[attachment]workload.Args

// readCache reads the library's directory. One that is not there, or knows nothing of the network, is an empty cache.
//
// Source: libcni, cacheAdd: a file NETWORK-CONTAINERID-IFNAME, in JSON, from a successful ADD to a successful DEL.
func readCache(results fs.FS, network string) cache {
	known := cache{}
	entries, err := fs.ReadDir(results, ".")
	if err != nil {
		return known
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), network+"-") {
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
		// Arguments that cannot be read name no pod.
		args, _ := workload.ParseArgs(strings.Join(pairs, ";"))
		known[attachment{cached.ContainerID, cached.IfName}] = args
	}
	return known
}

// signs are what tells a live container's lease from one that somebody forgot.
type signs struct {
	cache cache
	// routed are the addresses that host routes lead to.
	routed []netip.Addr
	now    time.Time
}

// alive says that a lease is in use, or may be: the runtime knows the attachment, a route leads to the address, or it was
// given out a moment ago. Without a word from the runtime's cache about the network, nobody knows, and all are.
func (s signs) alive(l Lease) bool {
	if l.ContainerID == "" {
		return slices.Contains(s.routed, l.Addr)
	}
	_, known := s.cache[attachment{l.ContainerID, l.IfName}]
	return known || len(s.cache) == 0 || slices.Contains(s.routed, l.Addr) || s.now.Sub(l.Since) < young
}

// routes4 returns the addresses of host routes in what the kernel shows of its IPv4 table: Iface, Destination, Gateway,
// Flags, RefCnt, Use, Metric, Mask (proc(5)). Numbers are in the machine's order of bytes, which is little-endian on all
// that Kubernetes runs on but s390x.
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

// routes6 does so for IPv6: destination and its length in hex come first. What is on the loopback is the host's own.
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
