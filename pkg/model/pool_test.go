// SPDX-License-Identifier: Apache-2.0

package model

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/apis/crd/v1/spec"
)

func TestConvertPool(t *testing.T) {
	base := Pool{
		Name: "p", CIDR: netip.MustParsePrefix("10.0.0.0/16"), Uses: UseWorkload | UseTunnel, BlockSize: 26,
	}
	six := base
	six.CIDR, six.BlockSize = netip.MustParsePrefix("fd00::/48"), 122
	with := func(p Pool, change func(*Pool)) Pool {
		change(&p)
		return p
	}
	for _, test := range []struct {
		json string
		want Pool
		// fields are those with a finding.
		fields string
	}{
		{`{"cidr":"10.0.0.0/16"}`, base, ""},
		{`{"cidr":"fd00::/48"}`, six, ""},
		{`{"cidr":"10.0.5.1/16"}`, base, ""},
		{`{"cidr":"10.0.0.0/16","ipipMode":"Always","vxlanMode":"Never"}`, with(base, func(p *Pool) { p.IPIP = Always }), ""},
		{`{"cidr":"10.0.0.0/16","ipipMode":"CrossSubnet"}`, with(base, func(p *Pool) { p.IPIP = CrossSubnet }), ""},
		{`{"cidr":"10.0.0.0/16","vxlanMode":"Always"}`, with(base, func(p *Pool) { p.VXLAN = Always }), ""},
		{`{"cidr":"10.0.0.0/16","vxlanMode":"CrossSubnet"}`, with(base, func(p *Pool) { p.VXLAN = CrossSubnet }), ""},
		{`{"cidr":"10.0.0.0/16","natOutgoing":true,"disabled":true,"disableBGPExport":true,"blockSize":28,
			"nodeSelector":"zone == 'a'","allowedUses":["Workload","LoadBalancer"]}`, with(base, func(p *Pool) {
			p.NATOutgoing, p.Disabled, p.DisableBGPExport, p.BlockSize = true, true, true, 28
			p.NodeSelector, p.Uses = "zone == 'a'", UseWorkload|UseLoadBalancer
		}), ""},
		{
			`{"cidr":"10.0.0.0/16","allowedUses":["Tunnel","Other"]}`, with(base, func(p *Pool) { p.Uses = UseTunnel }),
			"spec.allowedUses",
		},
		{`{"cidr":"10.0.0.0/16","ipipMode":"always","vxlanMode":"x"}`, base, "spec.ipipMode spec.vxlanMode"},
		{`{"cidr":"fd00::/48","ipipMode":"Always"}`, six, "spec.ipipMode"},
		{
			`{"cidr":"10.0.0.0/16","ipipMode":"Always","vxlanMode":"CrossSubnet"}`,
			with(base, func(p *Pool) { p.VXLAN = CrossSubnet }), "spec.ipipMode",
		},
		{`{"cidr":"10.0.0.0/16","nodeSelector":"("}`, with(base, func(p *Pool) { p.NodeSelector = "(" }), "spec.nodeSelector"},
		{`{"cidr":"10.0.0.0"}`, Pool{}, "spec.cidr"},
		{`{"cidr":""}`, Pool{}, "spec.cidr"},
		{`{"cidr":"::ffff:10.0.0.0/112"}`, Pool{}, "spec.cidr"},
	} {
		var in spec.IPPool
		if err := json.Unmarshal([]byte(test.json), &in); err != nil {
			t.Fatal(err)
		}
		got, ok, findings := ConvertPool("p", &in)
		if got != test.want || ok != test.want.CIDR.IsValid() {
			t.Errorf("%s: got %+v, %v; want %+v", test.json, got, ok, test.want)
		}
		var fields []string
		for _, f := range findings {
			fields = append(fields, f.Field)
			if f.Kind != KindIPPool || f.Name != "p" || f.Problem == "" || f.Remedy == "" {
				t.Errorf("%s: finding %+v", test.json, f)
			}
		}
		if slices.Sort(fields); strings.Join(fields, " ") != test.fields {
			t.Errorf("%s: findings on %v, want %s", test.json, fields, test.fields)
		}
	}
}

// No text makes the conversion panic.
func FuzzConvertPool(f *testing.F) {
	f.Add("10.0.0.0/16", "Always", "CrossSubnet", "Workload", "all()")
	f.Fuzz(func(t *testing.T, cidr, ipip, vxlan, use, selector string) {
		p, ok, findings := ConvertPool("p", &spec.IPPool{
			CIDR: cidr, IPIPMode: ipip, VXLANMode: vxlan, AllowedUses: []string{use}, NodeSelector: selector,
		})
		if ok != p.CIDR.IsValid() || ok && p.CIDR != p.CIDR.Masked() || !ok && len(findings) == 0 {
			t.Errorf("%+v, %v, %v", p, ok, findings)
		}
		if p.IPIP != Never && (p.VXLAN != Never || p.Family() != IPv4) {
			t.Errorf("two encapsulations, or IPIP with IPv6: %+v", p)
		}
	})
}
