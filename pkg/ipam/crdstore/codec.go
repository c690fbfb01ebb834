// SPDX-License-Identifier: Apache-2.0

package crdstore

import (
	"crypto/sha256"
	"crypto/sha3"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/kubeapi"
)

// maxName is one more than the length of the longest name that Calico uses for an affinity.
const maxName = 253

// affinityName returns "<node>-<cidr>". If that is too long, the node is truncated and a hash appended.
func affinityName(node string, cidr netip.Prefix) string {
	c := spec.BlockName(cidr)
	name := node + "-" + c
	if len(name) < maxName {
		return name
	}
	sum := sha256.Sum256([]byte(node + "+" + c))
	return node[:maxName-1-len(c)-13] + "-" + c + "-" + hex.EncodeToString(sum[:])[:11]
}

// hostnameHash returns the label value for a node: a hash, because the name of a node may be too long for a label
// value.
func hostnameHash(node string) string {
	sum := sha3.Sum256([]byte(node))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
}

func malformed(kind, name, format string, a ...any) error {
	return fmt.Errorf("%w: %s %s: %s; repair or delete the object",
		ipam.ErrMalformed, kind, name, fmt.Sprintf(format, a...))
}

func parseCIDR(kind, name, text string) (netip.Prefix, error) {
	cidr, err := netip.ParsePrefix(text)
	if err != nil {
		return cidr, malformed(kind, name, "cidr %q: want an address and a prefix length, such as 10.0.0.0/26", text)
	}
	return cidr.Masked(), nil
}

type handleCodec struct{}

// annotationTouches has ipam.Handle.Touches. Calico drops annotations when it writes a handle. That is harmless,
// because its write gives the handle a new revision.
const annotationTouches = "calico-cni/touches"

func (handleCodec) name(id string) string { return strings.ToLower(id) }

func (handleCodec) decode(o *kubeapi.Object[spec.IPAMHandle]) (ipam.Handle, bool, error) {
	h := ipam.Handle{ID: o.Spec.HandleID, Counts: map[netip.Prefix]int{}}
	for text, n := range o.Spec.Block {
		cidr, err := parseCIDR("IPAMHandle", o.Metadata.Name, text)
		if err != nil {
			return h, false, err
		}
		h.Counts[cidr] += n
	}
	// A value that is not a number counts as 0: any number that replaces it changes the object.
	h.Touches, _ = strconv.Atoi(o.Metadata.Annotation(annotationTouches))
	return h, o.Spec.Deleted, nil
}

func (handleCodec) fill(o *kubeapi.Object[spec.IPAMHandle], id string, h ipam.Handle, deleted bool) {
	o.Metadata.Name = strings.ToLower(id)
	o.Spec.HandleID, o.Spec.Deleted = h.ID, deleted
	o.Spec.Block = make(map[string]int, len(h.Counts))
	for cidr, n := range h.Counts {
		o.Spec.Block[cidr.String()] = n
	}
	if h.Touches != 0 || o.Metadata.Annotation(annotationTouches) != "" {
		o.Metadata.SetAnnotation(annotationTouches, strconv.Itoa(h.Touches))
	}
}
