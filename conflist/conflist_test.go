// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"calico-cni/pkg/netconf"
)

const secret = "eyJhbGciOi.secret.c2lnbmF0dXJl"

func testValues() Values {
	return Values{
		NodeName: "worker-1", Kubeconfig: "/etc/cni/net.d/calico-kubeconfig", MTU: 1440, AssignIPv4: true,
		LogLevel: "info", LogFilePath: "/var/log/calico/cni/cni.log", LogFileMaxSize: 100, LogFileMaxAge: 30,
		LogFileMaxCount: 10, DatastoreType: "kubernetes", APIGroup: "crd.projectcalico.org/v1",
		ServiceHost: "10.96.0.1", ServicePort: "443", Token: secret,
	}
}

func mustRender(t rapid.TB, filename, template string, v Values) string {
	t.Helper()
	data, err := Render(filename, template, v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// plugin returns the configuration of the first plugin as the runtime passes it.
func plugin(t rapid.TB, conflist string) []byte {
	t.Helper()
	var l struct {
		CNIVersion string           `json:"cniVersion"`
		Name       string           `json:"name"`
		Plugins    []map[string]any `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(conflist), &l); err != nil {
		t.Fatal(err)
	}
	l.Plugins[0]["cniVersion"], l.Plugins[0]["name"] = l.CNIVersion, l.Name
	data, err := json.Marshal(l.Plugins[0])
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBuiltInConfiguration(t *testing.T) {
	want, err := os.ReadFile("testdata/default.conflist")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), mustRender(t, "10-calico.conflist", "", testValues())); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
}

func TestPluginParsesBuiltInConfiguration(t *testing.T) {
	v := testValues()
	v.MTU, v.RequireMTUFile, v.AssignIPv4, v.AssignIPv6 = 0, true, false, true
	got, err := netconf.Parse(plugin(t, mustRender(t, "10-calico.conflist", "", v)))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"version": "1.0.0", "name": "k8s-pod-network", "node": "worker-1", "mtu": 0, "mtu file": true, "ipv4": false,
		"ipv6": true, "kubeconfig": "/etc/cni/net.d/calico-kubeconfig", "policy": "k8s", "log": "/var/log/calico/cni/cni.log",
		"level": "info",
	}
	if diff := cmp.Diff(want, map[string]any{
		"version": got.CNIVersion, "name": got.Name, "node": got.Nodename, "mtu": got.MTU, "mtu file": got.RequireMTUFile,
		"ipv4": got.IPAM.AssignIPv4, "ipv6": got.IPAM.AssignIPv6, "kubeconfig": got.Kubernetes.Kubeconfig,
		"policy": got.Policy.Type, "log": got.LogFilePath, "level": got.LogLevel,
	}); diff != "" {
		t.Errorf("what the plugin reads (-want +got):\n%s", diff)
	}
}

// all uses every placeholder of Calico's.
const all = `{"cniVersion": "0.3.1", "name": "mine", "plugins": [{"type": "calico", "mtu": __CNI_MTU__,
"require_mtu_file": __REQUIRE_MTU_FILE__, "log_file_max_size": __LOG_FILE_MAX_SIZE__,
"log_file_max_age": __LOG_FILE_MAX_AGE__, "log_file_max_count": __LOG_FILE_MAX_COUNT__,
"s": ["__LOG_LEVEL__", "__LOG_FILE_PATH__", "__DATASTORE_TYPE__", "__CALICO_API_GROUP__", "__KUBERNETES_NODE_NAME__",
"__KUBECONFIG_FILEPATH__", "__SERVICEACCOUNT_TOKEN__",
"https://__KUBERNETES_SERVICE_HOST__:__KUBERNETES_SERVICE_PORT__", "__LOG_LEVEL____LOG_LEVEL__"],
"etcd": "__ETCD_ENDPOINTS____ETCD_DISCOVERY_SRV____ETCD_CA_CERT_FILE____ETCD_CERT_FILE____ETCD_KEY_FILE__"}]}`

func TestRenderReplacesCalicoPlaceholders(t *testing.T) {
	want := `{"cniVersion": "0.3.1", "name": "mine", "plugins": [{"type": "calico", "mtu": 1440,
"require_mtu_file": false, "log_file_max_size": 100,
"log_file_max_age": 30, "log_file_max_count": 10,
"s": ["info", "/var/log/calico/cni/cni.log", "kubernetes", "crd.projectcalico.org/v1", "worker-1",
"/etc/cni/net.d/calico-kubeconfig", "` + secret + `",
"https://10.96.0.1:443", "infoinfo"],
"etcd": ""}]}`
	if diff := cmp.Diff(want, mustRender(t, "10-calico.conflist", all, testValues())); diff != "" {
		t.Errorf("rendered (-want +got):\n%s", diff)
	}
	for name := range testValues().placeholders() {
		if !strings.Contains(all, name) {
			t.Errorf("this test lacks %s", name)
		}
	}
}

// TestRenderPutsIPv6HostInBracketsBeforePort renders the placeholder of the API server's host in a URL, before a
// port and alone.
func TestRenderPutsIPv6HostInBracketsBeforePort(t *testing.T) {
	const host = "__KUBERNETES_SERVICE_HOST__"
	for template, want := range map[string]string{
		"https://" + host + ":__KUBERNETES_SERVICE_PORT__":   "https://[fd00::1]:443",
		"https://[" + host + "]:__KUBERNETES_SERVICE_PORT__": "https://[fd00::1]:443",
		"https://" + host + ":6443/path":                     "https://[fd00::1]:6443/path",
		"https://" + host + "/path":                          "https://[fd00::1]/path",
		host + ":__KUBERNETES_SERVICE_PORT__":                "[fd00::1]:443",
		host:                                                 "fd00::1",
	} {
		v := testValues()
		v.ServiceHost = "fd00::1"
		text := mustRender(t, "a.conflist", `{"name": "n", "plugins": [{"type": "calico", "s": "`+template+`"}]}`, v)
		if !strings.Contains(text, `"s": "`+want+`"`) {
			t.Errorf("%s: want %s in %s", template, want, text)
		}
	}
}

func TestRenderSinglePlugin(t *testing.T) {
	const conf = `{"cniVersion": "0.3.1", "name": "mine", "type": "calico"}`
	for _, name := range []string{"10-calico.conf", "10-calico.json"} {
		if got := mustRender(t, name, conf, testValues()); got != conf {
			t.Errorf("%s: rendered %s", name, got)
		}
		l, err := Load(name, []byte(conf))
		if err != nil || l.Name != "mine" || l.CNIVersion != "0.3.1" || len(l.Plugins) != 1 ||
			string(l.Plugins[0].Bytes) != conf {
			t.Errorf("%s: Load = %+v, %v; want a list of this plugin", name, l, err)
		}
	}
}

func TestRenderRejectsInvalidConfiguration(t *testing.T) {
	list := func(s string) string { return `{"cniVersion": "1.0.0", "name": "net", "plugins": ` + s + `}` }
	for _, tt := range []struct {
		name, filename, template, want string
	}{
		{
			"unknown placeholders", "a.conflist", list(`[{"type": "__A__", "b": "__B_C__", "c": "__A__"}]`),
			`__A__, __B_C__ in the template`,
		},
		{"no JSON", "a.conflist", "{\"name\": \"net\",\n\"plugins\": [}", "line 2, column 13"},
		{"cut off", "a.conflist", `{"name": "net"`, "ends before the JSON is complete"},
		{"byte order mark", "a.conflist", "\xef\xbb\xbf" + list(`[{"type": "calico"}]`), "byte order mark"},
		{"number in text", "a.conflist", list(`[{"type": "calico", "mtu": __LOG_LEVEL__}]`), "not JSON"},
		{"no object", "a.conflist", `[]`, "want one JSON object"},
		{"two objects", "a.conflist", list(`[{"type": "calico"}]`) + "{}", "more text follows the JSON"},
		{"no name", "a.conflist", `{"plugins": [{"type": "calico"}]}`, "name: want the name of the network"},
		{"plugins null", "a.conflist", list(`null`), "plugins: want a list of plugins"},
		{"name null", "a.conflist", `{"name": null, "plugins": [{"type": "calico"}]}`, "name: want a string"},
		{
			"version null", "a.conflist", `{"cniVersion": null, "name": "net", "plugins": [{"type": "calico"}]}`,
			"cniVersion: want a string",
		},
		{
			"bad versions", "a.conflist", `{"cniVersions": ["1.x"], "name": "net", "plugins": [{"type": "calico"}]}`,
			"cniVersions: want a list of versions of the CNI specification",
		},
		{
			"versions null", "a.conflist", `{"cniVersions": null, "name": "net", "plugins": [{"type": "calico"}]}`,
			"cniVersions: want a list of versions of the CNI specification",
		},
		{
			"flag null", "a.conflist", `{"disableCheck": null, "name": "net", "plugins": [{"type": "calico"}]}`,
			"disableCheck: want true or false",
		},
		{
			"flag as text", "a.conflist", `{"disableGC": "yes", "name": "net", "plugins": [{"type": "calico"}]}`,
			"disableGC: want true or false",
		},
		{"huge number", "a.conflist", list(`[{"type": "calico", "mtu": 1e400}]`), "a number that is out of range"},
		{
			"inlined plugins left out", "a.conflist", `{"loadOnlyInlinedPlugins": true, "name": "net"}`,
			"plugins: want a list of plugins",
		},
		{"no type in a .conf file", "a.conf", `{"name": "net"}`, "type: want the name of the plugin's binary"},
		{
			"type null in a .conf file", "a.conf", `{"name": "net", "type": null}`,
			"type: want the name of the plugin's binary",
		},

		{"bad name", "a.conflist", `{"name": "a/b", "plugins": [{"type": "calico"}]}`, `name "a/b"`},
		{
			"bad version", "a.conflist", `{"cniVersion": "one", "name": "net", "plugins": [{"type": "calico"}]}`,
			`cniVersion "one"`,
		},
		{"no plugins", "a.conflist", list(`[]`), "plugins: want a list of plugins"},
		{"plugins left out", "a.conflist", `{"name": "net"}`, `wants a list of plugins`},
		{
			"plugin without type", "a.conflist", list(`[{"type": "calico"}, {"snat": true}]`),
			"plugin 2 of the list has no type",
		},
		{"a single plugin as a list", "a.conflist", `{"name": "net", "type": "calico"}`, "wants a list of plugins"},
		{"a list as a single plugin", "a.conf", list(`[{"type": "calico"}]`), "ends in .conflist"},
		{"a name that no runtime reads", "a.yaml", list(`[{"type": "calico"}]`), "a.yaml"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := Render(tt.filename, tt.template, testValues())
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) || data != nil {
				t.Errorf("Render = %s, %v; want ErrInvalid with %s", data, err, tt.want)
			}
			for _, internal := range []string{"<nil>", "interface {}", "error parsing", "json: "} {
				if err != nil && strings.Contains(err.Error(), internal) {
					t.Errorf("%q of a library in: %v", internal, err)
				}
			}
		})
	}
}

func TestErrorsDoNotContainToken(t *testing.T) {
	for _, template := range []string{
		`__SERVICEACCOUNT_TOKEN__`,
		`{"name": "__SERVICEACCOUNT_TOKEN__/", "plugins": [{"type": "calico"}]}`,
		`{"name": "net", "disableCheck": "__SERVICEACCOUNT_TOKEN__", "plugins": [{"type": "calico"}]}`,
		`{"name": "net", "cniVersions": ["__SERVICEACCOUNT_TOKEN__"], "plugins": [{"type": "calico"}]}`,
		`{"name": "net", "cniVersion": "__SERVICEACCOUNT_TOKEN__", "plugins": [{"type": "calico"}]}`,
	} {
		if _, err := Render("a.conflist", template, testValues()); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("template %s: %v", template, err)
		}
	}
}

// TestRenderEscapesValues: no value ends its JSON string, neither in the built-in list nor in a template.
func TestRenderEscapesValues(t *testing.T) {
	const template = `{"name": "net", "plugins": [{"type": "calico", "nodename": "__KUBERNETES_NODE_NAME__", ` +
		`"log_file_path": "__LOG_FILE_PATH__"}]}`
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.OneOf(rapid.String(),
			rapid.SampledFrom([]string{`"`, `\`, `","type":"evil`, "__CNI_MTU__", "<&>", "\u2028", "a\nb"}))
		v := testValues()
		v.NodeName, v.LogFilePath = text.Draw(rt, "node"), text.Draw(rt, "path")
		for _, tmpl := range []string{"", template} {
			var got struct {
				Type        string `json:"type"`
				Nodename    string `json:"nodename"`
				LogFilePath string `json:"log_file_path"`
			}
			if err := json.Unmarshal(plugin(rt, mustRender(rt, "a.conflist", tmpl, v)), &got); err != nil {
				rt.Fatal(err)
			}
			if got.Type != "calico" || got.Nodename != v.NodeName || got.LogFilePath != v.LogFilePath {
				rt.Fatalf("with %q and %q the plugin reads %+v", v.NodeName, v.LogFilePath, got)
			}
		}
	})
}

// FuzzRender checks that Render returns an error, or JSON without placeholders.
func FuzzRender(f *testing.F) {
	f.Add(all, "a.conflist")
	f.Add(`{"name": "n", "type": "calico", "mtu": __CNI_MTU__}`, "a.conf")
	f.Add(`{"name": "__X__"}`, "a.json")
	left := regexp.MustCompile(`__[A-Z][A-Z0-9]*__`)
	f.Fuzz(func(t *testing.T, template, filename string) {
		data, err := Render(filename, template, testValues())
		switch {
		case err != nil && (!errors.Is(err, ErrInvalid) || data != nil || strings.Contains(err.Error(), secret)):
			t.Errorf("Render = %s, %v", data, err)
		case err == nil && (!json.Valid(data) || left.Match(data)):
			t.Errorf("Render accepts %s", data)
		}
	})
}
