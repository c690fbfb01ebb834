// SPDX-License-Identifier: Apache-2.0

package words

import (
	"bytes"
	"testing"

	"calico-cni/pkg/netconf"
)

func TestChecksFindViolations(t *testing.T) {
	for _, msg := range []string{
		`netip.ParsePrefix("x"): no '/'`, "invalid Prefix", `strconv.Atoi: parsing "x": invalid syntax`,
		"json: cannot unmarshal string",
		"unexpected end of JSON input", "yaml: line 3: found character", "x509: certificate signed by unknown authority",
		"%!s(<nil>)",
		"context deadline exceeded", "rate: Wait(n=1) would exceed context deadline",
		"dial tcp 127.0.0.1:1: connect: connection refused",
		"lookup api.example: no such host", "x (Client.Timeout exceeded while awaiting headers)",
		`exec: "x": executable file not found in $PATH`,
		"get pod: exit status 1; see", "operation was canceled", "proxyconnect: refused",
		"http: server closed idle connection",
		"Get \"https://a\": EOF", "http2: client connection lost", "fork/exec /bin/x: no such file", "&{a map[b:c]}",
		"error parsing configuration list: no name", "invalid 'plugins' type <nil>",
		"invalid type for cniVersions: []interface {}",
		`parsing time "x" as "2006"`, `time: invalid duration "x"`, "open /a\x00b: invalid argument",
	} {
		if Internal(msg) == "" {
			t.Errorf("Internal accepts %q", msg)
		}
	}
	if Doubled("get pod a/b: it was deleted today; get pod a/b: it was deleted today") == "" {
		t.Error("Doubled accepts a repeated clause")
	}
	if Doubled("get pod a/b: not found; get pod c/d: not found") != "" {
		t.Error("Doubled rejects two different clauses")
	}
	if HasRemedy("open /x: no such file or directory") {
		t.Error("HasRemedy accepts a message without remedy")
	}
}

// FuzzConfiguration parses arbitrary configurations. Every error must contain a remedy and no text of Go's packages.
func FuzzConfiguration(f *testing.F) {
	for _, seed := range []string{
		"", "{", "\xef\xbb\xbf{}", `{"name": 5}`,
		`{"name": "n", "ipam": {"type": "calico-ipam", "ipv4_pools": ["10.0.0.0/33"]}}`,
		`{"name": "n", "ipam": {"type": "host-local", "routes": [{"dst": "x"}]}}`,
		`{"name": "n", "ipam": {"type": "calico-ipam"}, "prevResult": {"ips": [{"address": "x"}]}}`,
		`{"name": "n", "mtu": 1e99}`, `{"name": "n", "ipam": {"type": "calico-ipam", "assign_ipv4": {}}}`,
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
		// The configuration itself may contain such a text.
		if found := Internal(msg); found != "" && !bytes.Contains(stdin, []byte(found)) {
			t.Errorf("%q: text of a Go package, %q, in: %s", stdin, found, msg)
		}
		if !HasRemedy(msg) {
			t.Errorf("%q: no remedy in: %s", stdin, msg)
		}
	})
}
