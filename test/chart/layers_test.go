// SPDX-License-Identifier: Apache-2.0

package chart

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"calico-cni/conflist"
	"calico-cni/pkg/install"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
)

// issuer issues a fixed token.
type issuer struct{}

func (issuer) Token(context.Context, string) (string, time.Time, error) {
	return "token", time.Now().Add(24 * time.Hour), nil
}

func (issuer) Accepted(context.Context, string) error { return nil }

// firstRejection passes values through all layers that check them, in the same order as in a cluster. It returns the
// name of the first layer that rejects them, or "" if all accept them.
func firstRejection(t testing.TB, values map[string]any) (layer string, err error) {
	t.Helper()
	manifest, err := Render(chartDir, values)
	if err != nil {
		return "chart", err
	}
	environment := environmentOf(t, manifest)
	root, err := os.MkdirTemp("", "layers")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(root) }()
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d", "image", "sa"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// This test needs no binaries.
	cfg, err := config.Parse([]string{
		"--host-root", root, "--bin-source", filepath.Join(root, "image"), "--skip-cni-binaries=calico,calico-ipam",
		"--service-account-dir", filepath.Join(root, "sa"), "--skip-tls-verify", "--sleep=false",
	}, func(name string) string { return environment[name] })
	if err != nil {
		return "flags", err
	}
	if err := install.Run(t.Context(), cfg, install.Deps{
		Group:  &apigroup.Choice{Configured: cmp.Or(cfg.APIGroup, config.V3Group)},
		Tokens: issuer{}, Hostname: os.Hostname, LinkMTU: func() (int, error) { return 1500, nil }, Now: time.Now,
		Spread: func() float64 { return 0.5 }, Out: io.Discard, Log: slog.New(slog.DiscardHandler),
	}); err != nil {
		return "install", err
	}
	net := filepath.Join(root, "etc/cni/net.d")
	if err := parseWithPlugins(filepath.Join(net, cfg.ConfName)); err != nil {
		return "plugins", err
	}
	client, err := kube.Load(filepath.Join(net, "calico-kubeconfig"), "test")
	if err != nil {
		return "client", err
	}
	client.Close()
	return "", nil
}

// parseWithPlugins parses a network configuration with the code of the plugins, in the form that a runtime passes to
// them.
func parseWithPlugins(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	list, err := conflist.Load(filepath.Base(path), data)
	if err != nil {
		return err
	}
	for _, p := range list.Plugins {
		if p.Network.Type != "calico" {
			continue
		}
		stdin, err := libcni.InjectConf(p, map[string]any{"name": list.Name, "cniVersion": list.CNIVersion})
		if err != nil {
			return err
		}
		if _, err := netconf.Parse(stdin.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// environmentOf returns the environment that the kubelet sets for the container install.
func environmentOf(t testing.TB, manifest string) map[string]string {
	t.Helper()
	spec := find[appsv1.DaemonSet](t, manifest, "DaemonSet", "calico-cni").Spec.Template.Spec
	config := find[corev1.ConfigMap](t, manifest, "ConfigMap", "calico-cni-config").Data
	environment := map[string]string{"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
	at := slices.IndexFunc(spec.InitContainers, func(c corev1.Container) bool { return c.Name == "install" })
	for _, e := range spec.InitContainers[at].Env {
		switch {
		case e.ValueFrom == nil:
			environment[e.Name] = e.Value
		case e.ValueFrom.ConfigMapKeyRef != nil:
			environment[e.Name] = config[e.ValueFrom.ConfigMapKeyRef.Key]
		default:
			environment[e.Name] = "worker-1"
		}
	}
	return environment
}

// TestLayersAgreeOnValues uses the limits of every value that is checked more than once.
func TestLayersAgreeOnValues(t *testing.T) {
	const own = `{"name": %q, "plugins": [{"type": "calico", "mtu": __CNI_MTU__, "ipam": {"type": "calico-ipam"}}]}`
	for _, tt := range []struct {
		values string
		layer  string // the layer that rejects them
	}{
		{"", ""},
		{"cni.confName=00-a_b.conflist", ""},
		{"cni.confName=calico.conf", "chart"},
		{"cni.confName=.conflist", "chart"},
		{"cni.confName=calico-kubeconfig", "chart"},
		{
			`{cni: {confName: calico.conf, ` +
				`networkConfig: '{"name": "n", "type": "calico", "ipam": {"type": "calico-ipam"}}'}}`, "",
		},
		{"cni.oldConfName=10-old.conf", ""},
		{"cni.oldConfName=calico-kubeconfig", "chart"},
		{"cni.networkConfig='" + fmt.Sprintf(own, "net-1") + "'", ""},
		// Only the code of the plugins checks the contents. install calls it before it writes anything.
		{"cni.networkConfig='" + fmt.Sprintf(own, "net_1") + "'", "install"},
		{"cni.mtu=67", "chart"},
		{"cni.mtu=68", ""},
		{"cni.mtu=65535", ""},
		{"cni.mtu=65536", "chart"},
		{"{cni: {mtu: 1279}, ipam: {assignIPv6: true}}", "chart"},
		{"{cni: {mtu: 1280}, ipam: {assignIPv6: true}}", ""},
		{"ipam.assignIPv4=false", "chart"},
		{"{ipam: {assignIPv4: false, assignIPv6: true}}", ""},
		{"cni.log.level=warning", ""},
		{"cni.log.level=WARN", "chart"},
		{"cni.log.file=relative", "chart"},
		{"cni.log.file=/l", "chart"},
		{"cni.log.file=/l/f", ""},
		{"cni.log.maxSize=1048576", ""},
		{"cni.log.maxSize=1048577", "chart"},
		{"cni.log.maxAge=36500", ""},
		{"cni.log.maxAge=36501", "chart"},
		{"cni.log.maxCount=100000", ""},
		{"cni.log.maxCount=100001", "chart"},
		{"cni.log.maxCount=-1", "chart"},
		{"cni.log.maxCount=0", ""},
		{"apiServer.host=10.96.0.1", ""},
		{"apiServer.host='[10.96.0.1]'", ""},
		{"apiServer.host='[10.96.0.256]'", "chart"},
		{"apiServer.host='::1'", ""},
		{"apiServer.host='[::1]'", ""},
		{"apiServer.host=':::1'", "chart"},
		{"apiServer.host='[fd00::1'", "chart"},
		{"apiServer.host='fe80::1%eth0'", "chart"},
		{"apiServer.host='::ffff:10.0.0.1'", ""},
		{"apiServer.host=api_1.example.", ""},
		{"apiServer.host=a|b", "chart"},
		{"apiServer.host='a b'", "chart"},
		{"apiServer.host=-", "chart"},
		{"apiServer.host='user@host'", "chart"},
		{"apiServer.host='a%b'", "chart"},
		{`apiServer.host='a"b'`, "chart"},
		{"apiServer.port=1", ""},
		{"apiServer.port='65535'", ""},
		{"apiServer.port=0", "chart"},
		{"apiServer.port='0443'", "chart"},
		{"host.netDir=/etc/kubernetes/cni/", ""},
		{"host.netDir=etc", "chart"},
	} {
		layer, err := firstRejection(t, set(t, tt.values))
		if layer != tt.layer {
			t.Errorf("%s: rejected by %q (%v), want %q", tt.values, layer, err, tt.layer)
		}
		if layer == "install" && !errors.Is(err, fault.ErrConfig) {
			t.Errorf("%s: %v is not an ErrConfig", tt.values, err)
		}
	}
}

// TestValuesThatChartAcceptsAreValid draws random values that resemble the patterns of the schema.
func TestValuesThatChartAcceptsAreValid(t *testing.T) {
	values := map[string]*rapid.Generator[any]{
		"apiServer.host": asAny(rapid.OneOf(
			rapid.StringMatching(`\[?[0-9a-f]{0,4}(:{1,2}[0-9a-f]{1,4}){1,7}:{0,2}\]?`),
			rapid.StringMatching(`\[?[0-9]{1,3}(\.[0-9]{1,3}){3}\]?`),
			rapid.StringMatching(`[A-Za-z0-9._:@%|~*+()-]{1,8}`))),
		"apiServer.port":  asAny(rapid.StringMatching(`[0-9]{1,6}`)),
		"cni.confName":    asAny(rapid.StringMatching(`[._A-Za-z0-9-]{1,6}\.(conflist|conf|json|yaml)`)),
		"cni.oldConfName": asAny(rapid.StringMatching(`([._A-Za-z0-9-]{1,6}\.(conflist|conf|json|yaml))?`)),
		"cni.mtu": asAny(rapid.OneOf(rapid.IntRange(-1, 100), rapid.IntRange(1270, 1290),
			rapid.IntRange(65500, 65540))),
		"ipam.assignIPv6":  asAny(rapid.Bool()),
		"cni.log.file":     asAny(rapid.StringMatching(`/?[ -~]{0,8}`)),
		"host.netDir":      asAny(rapid.StringMatching(`/[ -~]{0,8}`)),
		"cni.log.maxSize":  asAny(rapid.OneOf(rapid.IntRange(-1, 10), rapid.IntRange(999_990, 1_048_580))),
		"cni.log.maxAge":   asAny(rapid.IntRange(-1, 40_000)),
		"cni.log.maxCount": asAny(rapid.IntRange(-1, 200_000)),
	}
	accepted := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		path := rapid.SampledFrom(slices.Sorted(maps.Keys(values))).Draw(rt, "path")
		value := values[path].Draw(rt, path)
		text, err := json.Marshal(value)
		if err != nil {
			rt.Fatal(err)
		}
		layer, err := firstRejection(t, set(t, path+"="+string(text)))
		switch layer {
		case "":
			accepted[path]++
		case "chart":
		default:
			rt.Fatalf("the chart accepts %s=%s, but %s rejects it: %v", path, text, layer, err)
		}
	})
	if len(accepted) < 4 {
		t.Errorf("too few values were accepted: %v", accepted)
	}
}

func asAny[T any](g *rapid.Generator[T]) *rapid.Generator[any] {
	return rapid.Map(g, func(v T) any { return v })
}
