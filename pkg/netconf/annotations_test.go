// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// open returns a configuration that allows every annotation.
func open() *NetConf {
	return &NetConf{IPAM: IPAM{Type: CalicoIPAM}, FeatureControl: FeatureControl{
		IPAddrsNoIPAM: true,
		FloatingIPs:   true,
	}}
}

// on parses "key=value" lines into annotations. The keys have no prefix.
func on(lines string) map[string]string {
	annotations := map[string]string{"example.com/other": "{"}
	for line := range strings.FieldsSeq(lines) {
		key, value, _ := strings.Cut(line, "=")
		annotations[annotationPrefix+key] = value
	}
	return annotations
}

// print formats the fields that are set.
func (a Annotations) print() string {
	fields := map[string]any{
		"v4pools": a.IPv4Pools, "v6pools": a.IPv6Pools, "ipAddrs": a.IPAddrs, "noIpam": a.IPAddrsNoIPAM,
		"floating": a.FloatingIPs,
		"mac":      a.HWAddr, "sources": a.AllowedSourcePrefixes,
	}
	var out []string
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if text := fmt.Sprintf("%#v", fields[key]); !strings.HasSuffix(text, "(nil)") {
			out = append(out, fmt.Sprintf("%s%v", key, fields[key]))
		}
	}
	if a.Families != (Families{}) {
		out = append(out, fmt.Sprintf("%+v", a.Families))
	}
	return strings.Join(out, " ")
}

func TestAnnotations(t *testing.T) {
	for _, c := range []struct{ name, pod, namespace, want string }{
		{"none", "", "", ""},
		{
			"pools of the pod", `ipv4pools=["a","10.0.0.0/24"] ipv6pools=["b","fd00::/64"]`, "",
			"v4pools[a 10.0.0.0/24] v6pools[b fd00::/64]",
		},
		{"pools of the namespace", "", `ipv4pools=["a"] ipv6pools=["b"]`, "v4pools[a] v6pools[b]"},
		{
			"pod before namespace, family by family", `ipv4pools=["p"]`, `ipv4pools=["n"] ipv6pools=["n"]`,
			"v4pools[p] v6pools[n]",
		},
		{"pod overrides an invalid namespace annotation", `ipv4pools=["p"]`, `ipv4pools=[`, "v4pools[p]"},
		{"empty value counts as absent", `ipv4pools= hwAddr=`, `ipv4pools=["n"]`, "v4pools[n]"},
		{"empty list requests all pools", `ipv4pools=[]`, `ipv4pools=["n"]`, "v4pools[]"},
		{"IPv4 alone", `ipFamilies=["IPv4"]`, `ipFamilies=["IPv6"]`, "{IPv4:true IPv6:false}"},
		{"IPv6 alone, of the namespace", "", `ipFamilies=["IPv6"]`, "{IPv4:false IPv6:true}"},
		{"both families", `ipFamilies=["IPv6","IPv4"]`, "", "{IPv4:true IPv6:true}"},
		{"own addresses", `ipAddrs=["10.0.0.5","fd00::5"]`, "", "ipAddrs[10.0.0.5 fd00::5]"},
		{"an IPv4 address in IPv6 notation", `ipAddrs=["::ffff:10.0.0.5"]`, "", "ipAddrs[10.0.0.5]"},
		{"own addresses without IPAM", `ipAddrsNoIpam=["10.0.0.5"]`, "", "noIpam[10.0.0.5]"},
		{"several floating addresses", `floatingIPs=["10.0.0.5","10.0.0.6"]`, "", "floating[10.0.0.5 10.0.0.6]"},
		{"MAC", `hwAddr=0a:58:0a:00:00:05`, "", "mac0a:58:0a:00:00:05"},
		{"sources", `allowedSourcePrefixes=["192.0.2.7/24","fd00::/8"]`, "", "sources[192.0.2.0/24 fd00::/8]"},
		{
			"annotations that namespaces do not have", "",
			`ipAddrs=["10.0.0.5"] ipAddrsNoIpam=[ floatingIPs=[ hwAddr=x allowedSourcePrefixes=[`, "",
		},
	} {
		a, err := open().Annotations(on(c.pod), on(c.namespace))
		if got := a.print(); err != nil || got != c.want {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestAnnotationErrorsNameKeyOwnerValueAndRemedy(t *testing.T) {
	const families = `want ["IPv4"], ["IPv6"] or ["IPv4","IPv6"]`
	const host = `want the address of a host, without prefix length`
	for _, c := range []struct{ pod, namespace, want string }{
		{`ipv4pools=a`, "", `ipv4pools of the pod: "a": want a JSON list of strings, such as ["default-ipv4-ippool"]`},
		{`ipv4pools=null`, "", `ipv4pools of the pod: "null": want a JSON list of strings, such as ` +
			`["default-ipv4-ippool"]`},
		{"", `ipv6pools=[5]`, `ipv6pools of the namespace: "[5]": want a JSON list of strings, such as ` +
			`["default-ipv4-ippool"]`},
		{"", `ipv4pools=["a",""]`, `ipv4pools of the namespace: "[\"a\",\"\"]": element "": want the name or the ` +
			`CIDR of an IPPool`},
		{
			`ipv6pools=["10.0.0.0/8"]`, "",
			`ipv6pools of the pod: "[\"10.0.0.0/8\"]": element "10.0.0.0/8": want the name of an IPPool, or its ` +
				`CIDR, of this IP family`,
		},
		{`ipFamilies=["ipv4"]`, "", `ipFamilies of the pod: "[\"ipv4\"]": ` + families},
		{`ipFamilies=[]`, "", `ipFamilies of the pod: "[]": ` + families},
		{"", `ipFamilies=IPv4`, `ipFamilies of the namespace: "IPv4": want a JSON list of strings, such as ` +
			`["IPv4"], ["IPv6"] or ["IPv4","IPv6"]`},
		{`ipAddrs=10.0.0.5`, "", `ipAddrs of the pod: "10.0.0.5": want a JSON list of strings, such as ["10.0.0.5"]`},
		{`ipAddrs=[]`, "", `ipAddrs of the pod: "[]": want at least one address, or no annotation`},
		{`ipAddrs=["10.0.0.5/32"]`, "", `ipAddrs of the pod: "[\"10.0.0.5/32\"]": element "10.0.0.5/32": ` + host},
		{`ipAddrs=["fe80::1%eth0"]`, "", `ipAddrs of the pod: "[\"fe80::1%eth0\"]": element "fe80::1%eth0": ` + host},
		{`ipAddrs=["0.0.0.0"]`, "", `ipAddrs of the pod: "[\"0.0.0.0\"]": element "0.0.0.0": ` + host},
		{`ipAddrs=["127.0.0.1"]`, "", `ipAddrs of the pod: "[\"127.0.0.1\"]": element "127.0.0.1": ` + host},
		{`ipAddrs=["ff02::1"]`, "", `ipAddrs of the pod: "[\"ff02::1\"]": element "ff02::1": ` + host},
		{
			`ipAddrs=["10.0.0.5","10.0.0.6"]`, "",
			`ipAddrs of the pod: "[\"10.0.0.5\",\"10.0.0.6\"]": want at most one IPv4 and one IPv6 address`,
		},
		{
			`ipAddrsNoIpam=["fd00::5","fd00::6"]`, "",
			`ipAddrsNoIpam of the pod: "[\"fd00::5\",\"fd00::6\"]": want at most one IPv4 and one IPv6 address`,
		},
		{
			`ipAddrsNoIpam=["10.0.0.5","fd00::5","fd00::6"]`, "",
			`ipAddrsNoIpam of the pod: "[\"10.0.0.5\",\"fd00::5\",\"fd00::6\"]": want at most one IPv4 and one IPv6 ` +
				`address`,
		},
		{
			`ipAddrs=["10.0.0.5"] ipAddrsNoIpam=["fd00::5"]`, "",
			`ipAddrs of the pod: "[\"10.0.0.5\"]": ipAddrsNoIpam is set as well: remove one of the two`,
		},
		{`floatingIPs=["x"]`, "", `floatingIPs of the pod: "[\"x\"]": element "x": ` + host},
		{`ipAddrsNoIpam=["169.254.1.1"]`, "", `ipAddrsNoIpam of the pod: "[\"169.254.1.1\"]": element "169.254.1.1": ` +
			host},
		{
			`ipAddrsNoIpam=["255.255.255.255"]`, "",
			`ipAddrsNoIpam of the pod: "[\"255.255.255.255\"]": element "255.255.255.255": ` + host,
		},
		{
			`ipAddrsNoIpam=["fe80::ecee:eeff:feee:eeee"]`, "",
			`ipAddrsNoIpam of the pod: "[\"fe80::ecee:eeff:feee:eeee\"]": element "fe80::ecee:eeff:feee:eeee": ` +
				host,
		},
		{`hwAddr=EE-EE-EE-EE-EE-EE`, "", `hwAddr of the pod: "EE-EE-EE-EE-EE-EE": ` + wantMAC},
		{`ipv4pools=["a\tb"]`, "", `ipv4pools of the pod: "[\"a\\tb\"]": element "a\tb": want the name or the CIDR ` +
			`of an IPPool`},
		{`hwAddr=x`, "", `hwAddr of the pod: "x": ` + wantMAC},
		{`hwAddr=00:00:00:00:00:00`, "", `hwAddr of the pod: "00:00:00:00:00:00": ` + wantMAC},
		{`hwAddr=03:00:00:00:00:01`, "", `hwAddr of the pod: "03:00:00:00:00:01": ` + wantMAC},
		{`hwAddr=0a:58:0a:00:00:05:00:01`, "", `hwAddr of the pod: "0a:58:0a:00:00:05:00:01": ` + wantMAC},
		{
			`allowedSourcePrefixes=["192.0.2.1"]`, "",
			`allowedSourcePrefixes of the pod: "[\"192.0.2.1\"]": element "192.0.2.1": want a CIDR such as ` +
				`192.0.2.0/24`,
		},
	} {
		_, err := open().Annotations(on(c.pod), on(c.namespace))
		checkAnnotationError(t, c.pod+c.namespace, err, c.want)
	}
}

func TestAnnotationGates(t *testing.T) {
	const remedy = "not allowed here: remove it, or set feature_control.%s to true in the CNI configuration"
	const other = `the CNI configuration has the IPAM plugin "host-local", and this annotation requires ` +
		`calico-ipam: remove it`
	closed, hostLocal := open(), open()
	closed.FeatureControl = FeatureControl{}
	hostLocal.IPAM.Type = "host-local"
	for _, c := range []struct {
		conf      *NetConf
		pod, want string
	}{
		{closed, `ipAddrsNoIpam=["10.0.0.5"]`, `ipAddrsNoIpam of the pod: "[\"10.0.0.5\"]": ` +
			fmt.Sprintf(remedy, "ip_addrs_no_ipam")},
		{closed, `floatingIPs=["10.0.0.5"]`, `floatingIPs of the pod: "[\"10.0.0.5\"]": ` +
			fmt.Sprintf(remedy, "floating_ips")},
		{hostLocal, `ipAddrs=["10.0.0.5"]`, `ipAddrs of the pod: "[\"10.0.0.5\"]": ` + other},
		{hostLocal, `ipAddrsNoIpam=["10.0.0.5"]`, `ipAddrsNoIpam of the pod: "[\"10.0.0.5\"]": ` + other},
	} {
		_, err := c.conf.Annotations(on(c.pod), nil)
		checkAnnotationError(t, c.pod, err, c.want)
	}
	if _, err := closed.Annotations(on(`ipAddrs=["10.0.0.5"]`), nil); err != nil {
		t.Errorf("ipAddrs needs no gate: %v", err)
	}
	if _, err := hostLocal.Annotations(on(`hwAddr=0a:58:0a:00:00:05 ipv4pools=["a"]`), nil); err != nil {
		t.Errorf("with host-local: %v", err)
	}
}

func TestPodOverridesNamespace(t *testing.T) {
	list := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,5}`), 0, 3)
	rapid.Check(t, func(t *rapid.T) {
		pod, namespace := map[string]string{}, map[string]string{}
		var want []string
		for _, object := range []map[string]string{namespace, pod} {
			if rapid.Bool().Draw(t, "annotated") {
				want = list.Draw(t, "pools")
				text, err := json.Marshal(want)
				if err != nil {
					t.Fatal(err)
				}
				object[ipv4Pools] = string(text)
			}
		}
		a, err := open().Annotations(pod, namespace)
		if err != nil || !slices.Equal(a.IPv4Pools, want) || (a.IPv4Pools == nil) != (len(pod)+len(namespace) == 0) {
			t.Fatalf("pod %v, namespace %v: %q, %v, want %q", pod, namespace, a.IPv4Pools, err, want)
		}
	})
}

func FuzzAnnotations(f *testing.F) {
	for i := range 8 {
		for _, value := range []string{
			"", "[]", "null", `["10.0.0.5","fd00::5"]`, `["IPv4"]`, "0a:58:0a:00:00:05",
			`["10.0.0.0/8"]`,
		} {
			f.Add(uint8(i), value, value)
		}
	}
	keys := []string{
		ipv4Pools, ipv6Pools, ipFamilies, ipAddrs, ipAddrsNoIPAM, floatingIPs, hwAddr,
		allowedSourcePrefixes,
	}
	f.Fuzz(func(t *testing.T, which uint8, pod, namespace string) {
		key := keys[int(which)%len(keys)]
		a, err := open().Annotations(map[string]string{key: pod}, map[string]string{key: namespace})
		if err != nil {
			if !errors.Is(err, ErrAnnotation) || !strings.Contains(err.Error(), key) {
				t.Errorf("%v does not wrap ErrAnnotation or name %s", err, key)
			}
			return
		}
		for _, addr := range slices.Concat(a.IPAddrs, a.IPAddrsNoIPAM, a.FloatingIPs) {
			if !addr.IsValid() || addr.Is4In6() || addr.Zone() != "" {
				t.Errorf("address %v", addr)
			}
		}
		if len(a.IPAddrs) > 2 || a.HWAddr != nil && len(a.HWAddr) != 6 {
			t.Errorf("%+v", a)
		}
	})
}

func checkAnnotationError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want = "invalid annotation: " + annotationPrefix + want; err == nil || err.Error() != want ||
		!errors.Is(err, ErrAnnotation) {
		t.Errorf("%s:\n got %v\nwant %s", what, err, want)
	}
}
