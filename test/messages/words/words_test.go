// SPDX-License-Identifier: Apache-2.0

package words

import (
	"bytes"
	"testing"

	"calico-cni/pkg/netconf"
)

func TestChecksFindWhatTheyLookFor(t *testing.T) {
	for _, msg := range []string{
		`netip.ParsePrefix("x"): no '/'`, "invalid Prefix", `strconv.Atoi: parsing "x": invalid syntax`, "json: cannot unmarshal string",
		"unexpected end of JSON input", "yaml: line 3: found character", "x509: certificate signed by unknown authority", "%!s(<nil>)",
		"context deadline exceeded", "rate: Wait(n=1) would exceed context deadline", "dial tcp 127.0.0.1:1: connect: connection refused",
		"lookup api.example: no such host", "x (Client.Timeout exceeded while awaiting headers)", `exec: "x": executable file not found in $PATH`,
		"get pod: exit status 1; see", "operation was canceled", "proxyconnect: refused", "http: server closed idle connection",
		"Get \"https://a\": EOF", "http2: client connection lost", "fork/exec /bin/x: no such file", "&{a map[b:c]}",
		"error parsing configuration list: no name", "invalid 'plugins' type <nil>", "invalid type for cniVersions: []interface {}",
		`parsing time "x" as "2006"`, `time: invalid duration "x"`, "open /a\x00b: invalid argument",
	} {
		if Internal(msg) == "" {
			t.Errorf("%q passes", msg)
		}
	}
	if Doubled("get pod a/b: it was deleted today; get pod a/b: it was deleted today") == "" || Doubled("get pod a/b: not found; get pod c/d: not found") != "" {
		t.Error("doubled text is not told from other text")
	}
	if HasRemedy("open /x: no such file or directory") {
		t.Error("a message without remedy has one")
	}
}

// FuzzConfiguration reads arbitrary configurations: each error has a cause and a remedy, and nothing of Go's.
func FuzzConfiguration(f *testing.F) {
	for _, seed := range []string{
		"", "{", "\xef\xbb\xbf{}", `{"name": 5}`, `{"name": "n", "ipam": {"type": "calico-ipam", "ipv4_pools": ["10.0.0.0/33"]}}`, `{"name": "n", "ipam": {"type": "host-local", "routes": [{"dst": "x"}]}}`,
		`{"name": "n", "ipam": {"type": "calico-ipam"}, "prevResult": {"ips": [{"address": "x"}]}}`, `{"name": "n", "mtu": 1e99}`, `{"name": "n", "ipam": {"type": "calico-ipam", "assign_ipv4": {}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		conf, err := netconf.Parse(stdin)
		if err == nil {
			_, err = conf.PrevResult()
		}
		if err == nil {
			return
		}
		msg := err.Error()
		// A value of the configuration may be anything, also such a text.
		if found := Internal(msg); found != "" && !bytes.Contains(stdin, []byte(found)) {
			t.Errorf("%q: Go's own text %q in: %s", stdin, found, msg)
		}
		if !HasRemedy(msg) {
			t.Errorf("%q: no remedy in: %s", stdin, msg)
		}
	})
}
