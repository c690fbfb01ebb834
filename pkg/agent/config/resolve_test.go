// SPDX-License-Identifier: Apache-2.0

package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"calico-cni/pkg/apis/felix"
)

// compare compares configurations.
var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestDefaultsAreValid(t *testing.T) {
	for _, p := range parameters() {
		if err := p.set(new(Config), p.fallback); err != nil {
			t.Errorf("%s: the default %q is invalid: %v", p.name, p.fallback, err)
		}
	}
	want := Config{
		IPv6: true, IPForwarding: true, EndpointStatusPath: "/var/run/calico",
		Interfaces: Interfaces{
			Prefixes: []string{"cali"}, Exclude: "(?:^kube-ipvs0$)", RefreshInterval: 90 * time.Second,
		},
		Overlay: Overlay{VXLANPort: 4789, VXLANVNI: 4096},
		Routes: Routes{
			RefreshInterval: 90 * time.Second, RemoveExternal: true, DeviceProtocol: 3, Metric: 1024, MetricV6: 1024,
		},
		NAT:    NAT{RefreshInterval: 3 * time.Minute},
		Health: Health{Host: "localhost", Port: 9099},
		Metrics: Metrics{
			Port: 9091, ClientAuth: "RequireAndVerifyClientCert", Go: true, Process: true,
		},
	}
	got := Resolve(Sources{})
	if diff := cmp.Diff(want, got.Config, compare); diff != "" || len(got.Findings) > 0 || len(got.Origins) > 0 {
		t.Errorf("%v, %v, -want +got:\n%s", got.Findings, got.Origins, diff)
	}
}

// fields returns the JSON names of the fields of a struct and of the structs inlined in it.
func fields(of reflect.Type) (names []string) {
	for i := range of.NumField() {
		field := of.Field(i)
		if field.Anonymous {
			names = append(names, fields(field.Type)...)
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// TestEveryFieldIsKnown checks that each field of FelixConfiguration either is a parameter or is ignored.
func TestEveryFieldIsKnown(t *testing.T) {
	var got []string
	for _, p := range parameters() {
		got = append(got, p.name)
	}
	for line := range strings.Lines(ignoredFields) {
		got = append(got, strings.Fields(line)[0])
	}
	want := slices.DeleteFunc(fields(reflect.TypeFor[felix.Configuration]()), func(name string) bool {
		return name == "nodeSelector"
	})
	if diff := cmp.Diff(want, got, cmpopts.SortSlices(strings.Compare)); diff != "" {
		t.Errorf("-fields +known:\n%s", diff)
	}
}

// TestNamesAreDistinct checks that no name means two settings, in any case.
func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	check := func(name string) {
		if lower := strings.ToLower(name); name != "" && seen[lower] {
			t.Errorf("%s is there twice", name)
		} else {
			seen[lower] = true
		}
	}
	for _, p := range parameters() {
		check(p.name)
		check(p.alias)
	}
	for _, f := range ignored() {
		check(f.name)
		check(f.alias)
	}
}

func TestValues(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, tt := range []struct {
		key, text string
		set       func(*Config) // nil if the value is invalid
	}{
		{"IPINIPMTU", "1400", func(c *Config) { c.MTU.IPIP = 1400 }},
		{"IPIPMTU", "1400", func(c *Config) { c.MTU.IPIP = 1400 }},
		{"VXLANMTU", "67", nil},
		{"VXLANMTU", "none", func(*Config) {}},
		{"VXLANMTUV6", "1279", nil},
		{"VXLANMTUV6", "1280", func(c *Config) { c.MTU.VXLANv6 = 1280 }},
		{"MTUIFACEPATTERN", "^bond", func(c *Config) { c.MTU.HostPattern = "^bond" }},
		{"MTUIFACEPATTERN", "(", nil},
		{"VXLANPORT", "none", nil},
		{"VXLANPORT", "65536", nil},
		{"VXLANVNI", "16777216", nil},
		{"VXLANVNI", "1", func(c *Config) { c.Overlay.VXLANVNI = 1 }},
		{"VXLANENABLED", "true", func(c *Config) { c.Overlay.VXLAN = On }},
		{"IPINIPENABLED", "0", func(c *Config) { c.Overlay.IPIP = Off }},
		{"IPV6SUPPORT", "None", func(c *Config) { c.IPv6 = false }},
		{"IPV6SUPPORT", "perhaps", nil},
		{"IPFORWARDING", "disabled", func(c *Config) { c.IPForwarding = false }},
		{"INTERFACEPREFIX", "eni, cali", func(c *Config) { c.Interfaces.Prefixes = []string{"eni", "cali"} }},
		{"INTERFACEPREFIX", ",", nil},
		{"INTERFACEPREFIX", "a/b", nil},
		{"INTERFACEPREFIX", "none", nil},
		{"INTERFACEEXCLUDE", "a.b,/^veth/", func(c *Config) { c.Interfaces.Exclude = `(?:^a\.b$)|(?:^veth)` }},
		{"INTERFACEEXCLUDE", "none", func(c *Config) { c.Interfaces.Exclude = "" }},
		{"INTERFACEEXCLUDE", "/)(/", nil},
		{"INTERFACEEXCLUDE", "/a", nil},
		{"INTERFACEREFRESHINTERVAL", "30", func(c *Config) { c.Interfaces.RefreshInterval = 30 * time.Second }},
		{"ROUTEREFRESHINTERVAL", "1m30s", func(c *Config) { c.Routes.RefreshInterval = 90 * time.Second }},
		{"ROUTEREFRESHINTERVAL", "0", func(c *Config) { c.Routes.RefreshInterval = 0 }},
		{"ROUTEREFRESHINTERVAL", "-1s", nil},
		{"ROUTEREFRESHINTERVAL", "NaN", nil},
		{"ROUTEREFRESHINTERVAL", "1e300", nil},
		{"PROGRAMCLUSTERROUTES", "enabledipiponly", func(c *Config) { c.Routes.Cluster = ClusterRoutesIPIPOnly }},
		{"DEVICEROUTEPROTOCOL", "80", func(c *Config) { c.Routes.DeviceProtocol = 80 }},
		{"DEVICEROUTEPROTOCOL", "256", nil},
		{"DEVICEROUTESOURCEADDRESS", "10.0.0.1", func(c *Config) { c.Routes.DeviceSource = netip.MustParseAddr("10.0.0.1") }},
		{"DEVICEROUTESOURCEADDRESS", "fd00::1", nil},
		{"DEVICEROUTESOURCEADDRESSIPV6", "::ffff:10.0.0.1", nil},
		{"IPV4NORMALROUTEPRIORITY", "512", func(c *Config) { c.Routes.Metric = 512 }},
		{"NATPORTRANGE", "1024:65535", func(c *Config) { c.NAT.Ports = PortRange{1024, 65535} }},
		{"NATPORTRANGE", "5000", func(c *Config) { c.NAT.Ports = PortRange{5000, 5000} }},
		{"NATPORTRANGE", "2:1", nil},
		{"NATOUTGOINGEXCLUSIONS", "ippoolsandhostips", func(c *Config) { c.NAT.ExcludeHosts = true }},
		{"IPTABLESNATOUTGOINGINTERFACEFILTER", "eth0", func(c *Config) { c.NAT.Interface = "eth0" }},
		{"IPTABLESNATOUTGOINGINTERFACEFILTER", "a-name-of-16-ch.", nil},
		{"EXTERNALNODESCIDRLIST", "10.0.0.1, 10.1.2.3/16", func(c *Config) {
			c.Overlay.ExternalNodes = []netip.Prefix{prefix("10.0.0.1/32"), prefix("10.1.0.0/16")}
		}},
		{"EXTERNALNODESCIDRLIST", "10.0.0.1/33", nil},
		{"FEATUREDETECTOVERRIDE", "ChecksumOffloadBroken=false", func(c *Config) { c.Overlay.ChecksumOffload = On }},
		{"FEATUREDETECTOVERRIDE", "ChecksumOffloadBroken=true,", func(c *Config) { c.Overlay.ChecksumOffload = Off }},
		{"FEATUREDETECTOVERRIDE", "ChecksumOffloadBroken", nil},
		{"LOGSEVERITYSCREEN", "WARNING", func(c *Config) { c.LogLevel = slog.LevelWarn }},
		{"LOGSEVERITYSCREEN", "none", nil},
		{"ENDPOINTSTATUSPATHPREFIX", "none", func(c *Config) { c.EndpointStatusPath = "" }},
		{"ENDPOINTSTATUSPATHPREFIX", "run", nil},
		{"HEALTHENABLED", "yes", func(c *Config) { c.Health.Enabled = true }},
		{"HEALTHHOST", "::1", func(c *Config) { c.Health.Host = "::1" }},
		{"HEALTHHOST", "a/b", nil},
		{"PROMETHEUSMETRICSCLIENTAUTH", "noclientcert", func(c *Config) { c.Metrics.ClientAuth = "NoClientCert" }},
	} {
		got := Resolve(Sources{Env: map[string]string{"FELIX_" + tt.key: tt.text}})
		want := Default()
		if tt.set != nil {
			tt.set(&want)
		}
		if diff := cmp.Diff(want, got.Config, compare); diff != "" {
			t.Errorf("%s=%s, -want +got:\n%s", tt.key, tt.text, diff)
		}
		if valid := tt.set != nil; valid != (len(got.Findings) == 0) || valid != (len(got.Origins) == 1) {
			t.Errorf("%s=%s: findings %v, origins %v", tt.key, tt.text, got.Findings, got.Origins)
		}
	}
}

func TestFindings(t *testing.T) {
	object := func(name, spec string) Object { return Object{Name: name, Spec: json.RawMessage(spec)} }
	for _, tt := range []struct {
		name string
		in   Sources
		want []string
	}{
		{"unknown variable", Sources{Env: map[string]string{"FELIX_VXLANMTUU": ""}}, []string{
			"environment FELIX_VXLANMTUU: there is no such setting; correct its name or remove it",
		}},
		{"other variables", Sources{Env: map[string]string{"PATH": "/bin", "FELIX_": "x", "FELIX": "x"}}, nil},
		{"unknown field", Sources{Objects: []Object{object("default", `{"vxlanMTUU":1}`)}}, []string{
			"FelixConfiguration default: spec.vxlanMTUU: there is no such setting; correct its name or remove it",
		}},
		{"invalid value", Sources{Env: map[string]string{"FELIX_VXLANPORT": "x"}}, []string{
			`environment FELIX_VXLANPORT: "x" is ignored and the default 4789 applies; set a port from 1 to 65535`,
		}},
		{"field of the wrong type", Sources{Objects: []Object{object("default", `{"natOutgoingAddress":{"a":[1]}}`)}}, []string{
			`FelixConfiguration default: spec.natOutgoingAddress: "{\"a\":[1]}" is ignored and no value applies; set an IPv4 address`,
		}},
		{"other features", Sources{Env: map[string]string{"FELIX_FEATUREDETECTOVERRIDE": "X=true,ChecksumOffloadBroken=false"}}, []string{
			"environment FELIX_FEATUREDETECTOVERRIDE: only ChecksumOffloadBroken has an effect, not X; remove the others",
		}},
		{"no effect, in two sources", Sources{
			Env:     map[string]string{"FELIX_BPFENABLED": "true"},
			Objects: []Object{object("default", `{"bpfEnabled":true}`)},
		}, []string{
			"environment FELIX_BPFENABLED: the setting has no effect: calico-node does not implement it; remove it unless " +
				"Calico's node agent reads it too",
		}},
		{"what the agent does anyway", Sources{
			Env: map[string]string{"FELIX_DEFAULTENDPOINTTOHOSTACTION": "ACCEPT", "FELIX_TYPHAK8SSERVICENAME": "none"},
			// The CustomResourceDefinitions add these defaults.
			Objects: []Object{object("default", `{"nftablesMode":"Auto","nftablesFlowTableOffload":"Disabled"}`)},
		}, nil},
		{"default object of Calico", Sources{Objects: []Object{object("default", `{"bpfConnectTimeLoadBalancing":"TCP",
			"bpfHostNetworkedNATWithoutCTLB":"Enabled","bpfLogLevel":"","floatingIPs":"Disabled",
			"logSeverityScreen":"Info","reportingInterval":"0s"}`)}}, nil},
		{"two spellings", Sources{Env: map[string]string{"FELIX_IPIPMTU": "1400", "FELIX_IPINIPMTU": "1300"}}, []string{
			"environment FELIX_IPIPMTU: it is ignored: another spelling of this setting already has a value; remove one of them",
		}},
		{"object that does not decode", Sources{Objects: []Object{object("default", `[]`), object("x", `{`)}}, []string{
			"FelixConfiguration x: spec.nodeSelector: the object is ignored: its spec or its nodeSelector cannot be decoded; " +
				"repair or delete the object",
			"FelixConfiguration default: spec: the object is ignored: its spec cannot be decoded; repair or delete the object",
		}},
		{"selectors", Sources{Objects: []Object{
			object("a", ``), object("b", `{"nodeSelector":"("}`), object("default", `{"nodeSelector":"all()"}`),
		}}, []string{
			"FelixConfiguration a: spec.nodeSelector: the object applies to no node; set nodeSelector, or name the object " +
				"default or node.NODE",
			"FelixConfiguration b: spec.nodeSelector: the object is ignored: invalid selector: position 2: expected " +
				"a key, \"has(\", \"all()\", \"!\" or \"(\", found the end; correct the selector",
			"FelixConfiguration default: spec.nodeSelector: it has no effect: the name of the object selects its nodes; " +
				"remove it, or give the object another name",
		}},
		{"file", Sources{File: []byte("a=1\n[global]\nVXLANMTU: 1400 ; comment\n=\nx\xff\nVXLANPort\n[other]\ny=1\n")}, []string{
			"file felix.cfg: line 1: it is ignored: it is not under [global]; move it under [global]",
			"file felix.cfg: line 4: it is ignored: it has no name and value; write name = value",
			"file felix.cfg: line 5: it is ignored: it is not UTF-8; correct or remove it",
			"file felix.cfg: line 6: it is ignored: it has no name and value; write name = value",
			"file felix.cfg: line 7: the settings under [other] are ignored; move them under [global]",
		}},
	} {
		var got []string
		for _, f := range Resolve(tt.in).Findings {
			got = append(got, f.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", tt.name, diff)
		}
	}
}

func TestFile(t *testing.T) {
	got := Resolve(Sources{File: []byte("# c\n\n[Global]\nvxlanmtu = 1400 # c\nLogSeverityScreen: 'Debug'\nNATPortRange=\"1:2\"\n")})
	want := Default()
	want.MTU.VXLAN, want.LogLevel, want.NAT.Ports = 1400, slog.LevelDebug, PortRange{1, 2}
	if diff := cmp.Diff(want, got.Config, compare); diff != "" || len(got.Findings) > 0 {
		t.Errorf("%v, -want +got:\n%s", got.Findings, diff)
	}
}

func TestFieldsOfObject(t *testing.T) {
	got := Resolve(Sources{Objects: []Object{{Name: "default", Spec: json.RawMessage(`{"vxlanMTU":1400,"ipv6Support":false,
		"externalNodesList":["10.0.0.1","fd00::/8"],"natPortRange":5000,"interfacePrefix":null,"mtuIfacePattern":""}`)}}})
	want := Default()
	want.MTU.VXLAN, want.IPv6, want.NAT.Ports = 1400, false, PortRange{5000, 5000}
	want.Overlay.ExternalNodes = []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/8")}
	if diff := cmp.Diff(want, got.Config, compare); diff != "" || len(got.Findings) > 0 {
		t.Errorf("%v, -want +got:\n%s", got.Findings, diff)
	}
}

// TestOldestSelectedObjectApplies checks that of several objects that select a node the oldest applies alone.
func TestOldestSelectedObjectApplies(t *testing.T) {
	at := time.Unix(1e9, 0)
	object := func(name string, age time.Duration, spec string) Object {
		return Object{Name: name, Created: at.Add(-age), Spec: json.RawMessage(spec)}
	}
	objects := []Object{
		object("young", 1, `{"nodeSelector":"zone == 'a'","vxlanMTU":1001,"ipipMTU":1001}`),
		object("old", 2, `{"nodeSelector":"has(zone)","vxlanMTU":1002}`),
		object("older", 3, `{"nodeSelector":"zone == 'b'","vxlanMTU":1003}`),
		object("node.other", 4, `{"vxlanMTU":1004}`),
	}
	for range 2 {
		got := Resolve(Sources{Node: "n", Labels: map[string]string{"zone": "a"}, Objects: objects})
		if got.Config.MTU != (MTU{VXLAN: 1002}) || got.Origins["vxlanMTU"] != "FelixConfiguration old" ||
			len(got.Findings) != 1 || !strings.Contains(got.Findings[0].String(), "young: spec.nodeSelector: the object is ignored: the older object old") {
			t.Errorf("%+v, %v, %v", got.Config.MTU, got.Origins, got.Findings)
		}
		slices.Reverse(objects)
	}
}

// TestPrecedence compares Resolve with a model: for each setting, the source with the highest precedence that has a
// value decides. An invalid value there gives the default.
func TestPrecedence(t *testing.T) {
	const invalid = 1 // no valid MTU
	settings := []string{"ipipMTU", "vxlanMTU", "vxlanMTUV6"}
	sources := []string{
		"environment", "file felix.cfg", "FelixConfiguration node.n", "FelixConfiguration zone", "FelixConfiguration default",
	}
	rapid.Check(t, func(t *rapid.T) {
		env, file := map[string]string{}, "[global]\n"
		specs := map[string]map[string]any{}
		want, origins, findings := map[string]int{}, map[string]string{}, 0
		for _, name := range settings {
			decided := false
			for i, source := range sources {
				value := rapid.SampledFrom([]int{-1, 0, invalid, 1400, 1500}).Draw(t, source+" "+name)
				text := fmt.Sprint(value)
				if value < 0 {
					text = rapid.SampledFrom([]string{"", "absent"}).Draw(t, "empty or absent")
				}
				if text == "absent" {
					continue
				}
				switch i {
				case 0:
					env[rapid.SampledFrom([]string{"FELIX_", "felix_"}).Draw(t, "prefix")+strings.ToUpper(name)] = text
				case 1:
					file += strings.ToLower(name) + " = " + text + "\n"
				default:
					object := strings.TrimPrefix(source, "FelixConfiguration ")
					if specs[object] == nil {
						specs[object] = map[string]any{}
					}
					specs[object][name] = text
					if value >= 0 && rapid.Bool().Draw(t, "number") {
						specs[object][name] = value
					}
				}
				if value < 0 || decided {
					continue
				}
				decided = true
				if value == invalid {
					findings++
					continue
				}
				want[name], origins[name] = value, source
			}
		}
		in := Sources{Node: "n", Labels: map[string]string{"zone": "a"}, Env: env, File: []byte(file)}
		for name, spec := range specs {
			if name == "zone" {
				spec["nodeSelector"] = "has(zone)"
			}
			data, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			in.Objects = append(in.Objects, Object{Name: name, Spec: data})
		}
		got := Resolve(in)
		if mtu := (MTU{IPIP: want["ipipMTU"], VXLAN: want["vxlanMTU"], VXLANv6: want["vxlanMTUV6"]}); got.Config.MTU != mtu {
			t.Errorf("got %+v, want %+v", got.Config.MTU, mtu)
		}
		if diff := cmp.Diff(origins, got.Origins); diff != "" || len(got.Findings) != findings {
			t.Errorf("%d findings, want %d; origins, -want +got:\n%s", len(got.Findings), findings, diff)
		}
	})
}

// FuzzResolve checks that a result is usable whatever the sources contain, and that it depends on them only.
func FuzzResolve(f *testing.F) {
	f.Add("FELIX_NATPORTRANGE", "1:2", "[global]\nvxlanMTU=1\n", `{"interfaceExclude":"/a/"}`)
	f.Add("FELIX_IPV6SUPPORT", "none", "x", `{"nodeSelector":"all()","vxlanPort":1e3}`)
	f.Fuzz(func(t *testing.T, key, value, file, spec string) {
		in := Sources{
			Node: "n", Env: map[string]string{key: value}, File: []byte(file),
			Objects: []Object{{Name: "default", Spec: json.RawMessage(spec)}, {Name: "x", Spec: json.RawMessage(spec)}},
		}
		got := Resolve(in)
		c := got.Config
		for _, text := range []string{c.Interfaces.Exclude, c.MTU.HostPattern} {
			if _, err := regexp.Compile(text); err != nil {
				t.Error(err)
			}
		}
		if len(c.Interfaces.Prefixes) == 0 || c.Overlay.VXLANPort == 0 || c.Overlay.VXLANVNI == 0 || c.Health.Port == 0 ||
			c.Metrics.Port == 0 || c.NAT.Ports.Min > c.NAT.Ports.Max || c.Routes.RefreshInterval < 0 {
			t.Errorf("unusable: %+v", c)
		}
		if diff := cmp.Diff(got, Resolve(in), compare); diff != "" {
			t.Error(diff)
		}
	})
}
