// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/block"
	"calico-cni/pkg/kubeapi"
)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func TestObjectNames(t *testing.T) {
	for cidr, want := range map[string]string{
		"10.0.0.64/26": "10-0-0-64-26", "fd00::40/122": "fd00--40-122", "192.0.2.7/32": "192-0-2-7-32",
	} {
		if got := spec.BlockName(prefix(cidr)); got != want {
			t.Errorf("%s: %s, want %s", cidr, got, want)
		}
	}
	if got := affinityName("node-1.example", prefix("10.0.0.64/26")); got != "node-1.example-10-0-0-64-26" {
		t.Errorf("affinity: %s", got)
	}
	if got := (handleCodec{}).name("k8s-pod-network.ABCdef"); got != "k8s-pod-network.abcdef" {
		t.Errorf("handle: %s", got)
	}
	// sha3-256 of the name, standard base32 without padding: printf node-1 | openssl dgst -sha3-256 -binary | base32
	if got, want := hostnameHash("node-1"), "A3XPYDATRKB7Q4SM2O5FN4RXIHBFIL2PITFX26BAIP5XAB2X74CA"; got != want {
		t.Errorf("hash %s", got)
	}
}

func TestLongAffinityNamesAreTruncatedWithHash(t *testing.T) {
	cidr := prefix("10.0.0.64/26")
	longest := strings.Repeat("n", 252-len("-10-0-0-64-26"))
	if got := affinityName(longest, cidr); got != longest+"-10-0-0-64-26" || len(got) != 252 {
		t.Errorf("a name that fits was cut: %s", got)
	}
	a, b := affinityName(longest+"a", cidr), affinityName(longest+"b", cidr)
	if len(a) != 252 || a == b || !strings.Contains(a, "-10-0-0-64-26-") || a[:200] != b[:200] {
		t.Errorf("%d characters: %s\n%s", len(a), a, b)
	}
}

// oldBlock is a block of a writer of 2018: no sequence numbers, no claim time, and the node in a separate field.
const oldBlock = `{"metadata":{"name":"10-0-0-0-30"},"spec":{"cidr":"10.0.0.0/30",
	"hostAffinity":"node-1","strictAffinity":false,"allocations":[0,null,null,1],"unallocated":[2,1],"attributes":[
	{"handle_id":"net.a","secondary":{"pod":"a"}},{"handle_id":null,"secondary":null}]}}`

func decode(t testing.TB, text string) *kubeapi.Object[spec.IPAMBlock] {
	t.Helper()
	o := new(kubeapi.Object[spec.IPAMBlock])
	if err := json.Unmarshal([]byte(text), o); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestBlockOfOldWriterIsReadAndReleased(t *testing.T) {
	b, deleted, err := (blockCodec{}).decode(decode(t, oldBlock))
	if err != nil || deleted {
		t.Fatal(err, deleted)
	}
	if b.Affinity != "host:node-1" {
		t.Errorf("affinity %q", b.Affinity)
	}
	held := b.Held("net.a")
	if len(held) != 1 || held[0].Addr.String() != "10.0.0.0" || !b.Release("net.a", held[0], b.ClaimTime, 0) {
		t.Errorf("held %v", held)
	}
}

func TestUpdateKeepsUnknownFields(t *testing.T) {
	o := decode(t, `{"metadata":{"name":"10-0-0-0-31","uid":"u","resourceVersion":"7",
		"annotations":{"projectcalico.org/metadata":"{}"},"labels":{"x":"y"}},
		"future":1,"spec":{"cidr":"10.0.0.0/31","affinity":"host:a","strictAffinity":true,"newer":{"a":[1]},
		"allocations":[0,null],"unallocated":[1],"attributes":[{"handle_id":"h","newest":true}],"sequenceNumber":5}}`)
	b, _, err := (blockCodec{}).decode(o)
	if err != nil {
		t.Fatal(err)
	}
	b.Assign(block.Attribute{Handle: "net.b"}, nil)
	b.Sequence++
	(blockCodec{}).fill(o, b.CIDR, b, false)
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{
		`"future":1`, `"newer":{"a":[1]}`, `"newest":true`, `"projectcalico.org/metadata":"{}"`, `"x":"y"`,
		`"resourceVersion":"7"`, `"sequenceNumber":6`,
	} {
		if !strings.Contains(string(data), kept) {
			t.Errorf("%s was lost: %s", kept, data)
		}
	}
}

// TestWriteDoesNotChangeReadObject fills a copy of an object, as an update does. After a conflict the caller
// continues with the row that it has read.
func TestWriteDoesNotChangeReadObject(t *testing.T) {
	o := decode(t, oldBlock)
	b, _, err := (blockCodec{}).decode(o)
	if err != nil {
		t.Fatal(err)
	}
	unchanged(t, o, func(next *kubeapi.Object[spec.IPAMBlock]) {
		b.Assign(block.Attribute{Handle: "net.b", Owner: map[string]string{"pod": "b"}}, nil)
		b.Allocations[0], b.Attributes[0].Handle = block.Free, "net.c"
		(blockCodec{}).fill(next, b.CIDR, b, true)
	})

	affinity := &kubeapi.Object[spec.BlockAffinity]{
		Metadata: kubeapi.Metadata{Name: "a", Labels: map[string]string{"x": "y"}},
	}
	unchanged(t, affinity, func(next *kubeapi.Object[spec.BlockAffinity]) {
		key := ipam.AffinityKey{Node: "n", CIDR: prefix("10.0.0.0/26")}
		v1Affinities.fill(next, key, ipam.Affinity{State: ipam.Pending}, true)
	})

	handle := &kubeapi.Object[spec.IPAMHandle]{
		Spec: spec.IPAMHandle{HandleID: "h", Block: map[string]int{"10.0.0.0/26": 1}},
	}
	h, _, err := (handleCodec{}).decode(handle)
	if err != nil {
		t.Fatal(err)
	}
	unchanged(t, handle, func(next *kubeapi.Object[spec.IPAMHandle]) {
		h.Counts[prefix("10.0.0.64/26")] = 2
		(handleCodec{}).fill(next, "h", h, true)
	})
}

// unchanged writes into a copy of an object. The copy must change, the object must not.
func unchanged[S any](t *testing.T, o *kubeapi.Object[S], write func(next *kubeapi.Object[S])) {
	t.Helper()
	text := func(o *kubeapi.Object[S]) string {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	before, next := text(o), *o
	write(&next)
	if after := text(o); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
	if text(&next) == before {
		t.Errorf("nothing was written: %s", before)
	}
}

func TestMalformedObjectErrorNamesObject(t *testing.T) {
	for name, text := range map[string]string{
		"cidr":   strings.ReplaceAll(oldBlock, "10.0.0.0/30", "ten"),
		"index":  strings.ReplaceAll(oldBlock, "[0,null,null,1]", "[9,null,null,1]"),
		"length": strings.ReplaceAll(oldBlock, "[0,null,null,1]", "[0,null]"),
		"queue":  strings.ReplaceAll(oldBlock, "[2,1]", "[2,2]"),
		"sequence's key": strings.ReplaceAll(
			oldBlock, `"strictAffinity"`, `"sequenceNumberForAllocation":{"x":1},"strictAffinity"`,
		),
	} {
		_, _, err := (blockCodec{}).decode(decode(t, text))
		if !errors.Is(err, ipam.ErrMalformed) || !strings.Contains(err.Error(), "10-0-0-0-30") {
			t.Errorf("%s: %v, want ErrMalformed with the name of the object", name, err)
		}
	}
	_, cidrErr := parseCIDR("IPAMBlock", "b", "garbage")
	_, reservedErr := parseReserved("r", "10.0.0.0/33")
	for _, err := range []error{cidrErr, reservedErr} {
		if !errors.Is(err, ipam.ErrMalformed) || !strings.Contains(err.Error(), ": want an address ") ||
			strings.Contains(err.Error(), "netip") {
			t.Errorf("a bad CIDR: %v", err)
		}
	}
	if _, err := v1Affinities.key(new(kubeapi.Object[spec.BlockAffinity])); !errors.Is(err, ipam.ErrMalformed) {
		t.Errorf("affinity: %v", err)
	}
}

func TestDecodePool(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*poolObject)
		want   string
	}{
		"plain":             {func(*poolObject) {}, "/26"},
		"own block size":    {func(o *poolObject) { o.Spec.BlockSize = 29 }, "/29"},
		"IPv6":              {func(o *poolObject) { o.Spec.CIDR = "fd00::/64" }, "/122"},
		"broken cidr":       {func(o *poolObject) { o.Spec.CIDR = "x" }, "broken"},
		"broken selector":   {func(o *poolObject) { o.Spec.NodeSelector = "((" }, "broken"},
		"broken namespaces": {func(o *poolObject) { o.Spec.NamespaceSelector = "((" }, "broken"},
		"too small":         {func(o *poolObject) { o.Spec.CIDR = "10.0.0.0/28" }, "broken"},
		"multicast":         {func(o *poolObject) { o.Spec.CIDR = "224.0.0.0/24" }, "broken"},
	} {
		o := new(poolObject)
		o.Spec.CIDR = "10.0.0.0/16"
		c.change(o)
		p := decodePool(o)
		got := netip.PrefixFrom(netip.IPv6Unspecified(), p.BlockSize).String()
		got = got[strings.Index(got, "/"):]
		if p.Broken != nil {
			if text := p.Broken.Error(); strings.Contains(text, "netip.") || strings.Contains(text, "invalid Prefix") {
				t.Errorf("%s: internal error text of Go in %q", name, text)
			}
			got = "broken"
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s (%v)", name, got, p.Broken)
		}
	}
}

// FuzzBlock decodes arbitrary blocks. A block is rejected, or unchanged after it is encoded and decoded again.
func FuzzBlock(f *testing.F) {
	f.Add([]byte(oldBlock))
	f.Add([]byte(`{"spec":{"cidr":"fd00::/128","allocations":[null],"unallocated":[0],"attributes":null,"deleted":true}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o := new(kubeapi.Object[spec.IPAMBlock])
		if json.Unmarshal(data, o) != nil {
			return
		}
		b, deleted, err := (blockCodec{}).decode(o)
		if err != nil {
			if !errors.Is(err, ipam.ErrMalformed) {
				t.Fatalf("unexpected error: %v", err)
			}
			return
		}
		(blockCodec{}).fill(o, b.CIDR, b, deleted)
		again, stillDeleted, err := (blockCodec{}).decode(o)
		if err != nil || stillDeleted != deleted || again.Usage() != b.Usage() || again.Sequence != b.Sequence {
			t.Fatalf("after encoding and decoding again: %+v, %v", again, err)
		}
	})
}
