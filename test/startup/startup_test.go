// SPDX-License-Identifier: Apache-2.0

// Package startup_test runs the start-up of the node agent and the allocation of its tunnel addresses against the real
// API server, with the permissions of deploy/rbac/calico-node.yaml.
package startup_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/agent/autodetect"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/agent/tunneladdr"
	"calico-cni/pkg/apis/crd/v1/spec"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kubeapi/clientgo"
	"calico-cni/pkg/model"
	"calico-cni/test/apiserver"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

const deploy = "../../deploy"

var (
	prepared    sync.Once
	errPrepared error
)

// bed is a cluster with a client that has the permissions of calico-node.
type bed struct {
	t         *testing.T
	server    *apiserver.Server
	transport *clientgo.Transport
	client    startup.Client
}

// newBed returns a cluster with the objects of an API group.
func newBed(t *testing.T, group string) *bed {
	t.Helper()
	s := apiserver.ForTest(t)
	prepared.Do(func() { errPrepared = prepare(context.Background(), s) })
	if errPrepared != nil {
		t.Fatal(errPrepared)
	}
	config, err := s.Accounts().ConfigFor(t.Context(), "kube-system", "calico-node")
	if err != nil {
		t.Fatal(err)
	}
	transport, err := clientgo.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &bed{t, s, transport, startup.Client{Transport: transport, Group: group}}
}

func prepare(ctx context.Context, s *apiserver.Server) error {
	for _, dir := range []string{"crds/v1", "crds/v3"} {
		if err := s.Admin().ApplyCRDs(ctx, os.DirFS(filepath.Join(deploy, dir))); err != nil {
			return err
		}
	}
	if err := errors.Join(s.Admin().CreateNamespace(ctx, "kube-system"),
		s.Admin().CreateServiceAccount(ctx, "kube-system", "calico-node")); err != nil {
		return err
	}
	role, err := os.ReadFile(filepath.Join(deploy, "rbac", "calico-node.yaml"))
	if err != nil {
		return err
	}
	if err := s.Accounts().BindClusterRole(ctx, role, "kube-system", "calico-node"); err != nil {
		return err
	}
	_, err = s.Client().CoreV1().ConfigMaps("kube-system").Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "kubeadm-config"},
		Data: map[string]string{
			"ClusterConfiguration": "networking:\n  podSubnet: 10.244.0.0/16,fd00:244::/56\n",
		},
	}, metav1.CreateOptions{})
	return err
}

// forGroups runs a test with the objects of each API group.
func forGroups(t *testing.T, test func(t *testing.T, b *bed)) {
	for _, group := range []string{apiserver.V1, apiserver.V3} {
		t.Run(group, func(t *testing.T) { test(t, newBed(t, group)) })
	}
}

// spec returns the spec of one of Calico's objects, as JSON without spaces.
func (b *bed) spec(plural, name string) string {
	b.t.Helper()
	o, err := b.server.Dynamic().Resource(apiserver.ResourceIn(b.client.Group, plural)).Get(b.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	data, err := json.Marshal(o.Object["spec"])
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// TestDefaultObjects lets several nodes start at once.
func TestDefaultObjects(t *testing.T) {
	forGroups(t, func(t *testing.T, b *bed) {
		v3 := b.client.Group == apiserver.V3
		var nodes sync.WaitGroup
		for range 4 {
			nodes.Go(func() {
				d := startup.Defaults{
					API: b.client, V3: v3, IPv6: true, Random: rand.Reader,
					Env: map[string]string{"CALICO_IPV4POOL_VXLAN": "CrossSubnet", "CALICO_IPV6POOL_VXLAN": "Always"},
				}
				if err := d.Create(t.Context(), netip.MustParsePrefix("192.0.2.1/24")); err != nil {
					t.Error(err)
				}
			})
		}
		nodes.Wait()
		pools, err := b.client.Pools(t.Context())
		if err != nil || len(pools) != 2 {
			t.Fatalf("pools %v, %v", pools, err)
		}
		configs := map[bool]string{false: "ipamconfigs", true: "ipamconfigurations"}[v3]
		for object, part := range map[[2]string]string{
			{"ippools", "default-ipv4-ippool"}: `"blockSize":26,"cidr":"10.244.0.0/16","ipipMode":"Never","natOutgoing":true`,
			{"ippools", "default-ipv6-ippool"}: `"blockSize":122,"cidr":"fd00:244::/56","ipipMode":"Never","nodeSelector":"all()"`,
			{"tiers", "default"}:               `{"defaultAction":"Deny","order":1000000}`,
			{"tiers", "kube-admin"}:            `{"defaultAction":"Pass","order":1000}`,
			{"tiers", "kube-baseline"}:         `{"defaultAction":"Pass","order":10000000}`,
			{"felixconfigurations", "default"}: `"logSeverityScreen":"Info"`,
			{"clusterinformations", "default"}: `"datastoreReady":true`,
			{configs, "default"}:               `"autoAllocateBlocks":true`,
		} {
			if got := b.spec(object[0], object[1]); !strings.Contains(got, part) {
				t.Errorf("%v: %s lacks %s", object, got, part)
			}
		}
	})
}

func TestNode(t *testing.T) {
	b := newBed(t, apiserver.V1)
	if _, err := b.server.Admin().CreateNode(t.Context(), "n"); err != nil {
		t.Fatal(err)
	}
	status := `{"status":{"addresses":[{"type":"Hostname","address":"n"},{"type":"InternalIP","address":"192.0.2.1"}],` +
		`"conditions":[{"type":"Ready","status":"True"},{"type":"NetworkUnavailable","status":"True","reason":"Cloud"}]}}`
	_, err := b.server.Client().CoreV1().Nodes().Patch(t.Context(), "n", types.MergePatchType, []byte(status), metav1.PatchOptions{}, "status")
	if err != nil {
		t.Fatal(err)
	}
	settings, _ := startup.ParseSettings(map[string]string{"IP": "autodetect"})
	addresses := startup.Addresses{Node: "n", Settings: settings}
	host := autodetect.Host{Links: []autodetect.Link{
		{Name: "eth0", Up: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
	}}
	more := map[string]string{model.AnnotationIPv4VXLANAddr: "10.0.0.1"}
	for round := range 2 {
		node, err := b.client.Node(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		annotate, findings := addresses.Patch(node, host, more, time.Now())
		condition := startup.ConditionPatch(startup.Up, node.Conditions, time.Now())
		if (annotate == nil) != (round > 0) || (condition == nil) != (round > 0) || len(findings) > 0 {
			t.Errorf("round %d: %s, %s, %v", round, annotate, condition, findings)
		}
		if err := errors.Join(b.client.PatchAnnotations(t.Context(), "n", annotate),
			b.client.PatchCondition(t.Context(), "n", condition)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.server.Client().CoreV1().Nodes().Get(t.Context(), "n", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Annotations[model.AnnotationIPv4Address] != "192.0.2.1/24" || got.Annotations[model.AnnotationIPv4VXLANAddr] != "10.0.0.1" {
		t.Errorf("annotations %v", got.Annotations)
	}
	if c := got.Status.Conditions; len(c) != 2 || c[0].Type != "Ready" || c[1].Status != "False" || c[1].Reason != "CalicoIsUp" {
		t.Errorf("conditions %v", c)
	}
	if _, err := b.client.Node(t.Context(), "other"); err == nil || !strings.Contains(err.Error(), "set NODENAME") {
		t.Errorf("missing node: %v", err)
	}
}

func TestTunnelAddresses(t *testing.T) {
	forGroups(t, func(t *testing.T, b *bed) {
		name := "tunnel-" + b.client.Group[:1]
		if _, err := b.server.Admin().CreateNode(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		cidr := map[string]string{apiserver.V1: "10.81.0.0/24", apiserver.V3: "10.83.0.0/24"}[b.client.Group]
		pools := b.server.Dynamic().Resource(apiserver.ResourceIn(b.client.Group, "ippools"))
		create := startup.Object{
			Plural: "ippools", Kind: "IPPool", Name: name,
			Spec: spec.IPPool{CIDR: cidr, BlockSize: 26, VXLANMode: "Always", NodeSelector: "kubernetes.io/hostname == '" + name + "'"},
		}
		if err := b.client.Create(t.Context(), create); err != nil {
			t.Fatal(err)
		}
		store := crdstore.New(b.transport, crdstore.Group(b.client.Group), nodestate.Once(filepath.Join(t.TempDir(), "labelled")))
		a := tunneladdr.Addresses{
			Allocator: &ipam.Allocator{Store: store, Now: time.Now, Parallel: 4}, Cluster: store, Node: name, Now: time.Now,
		}
		models := []model.Pool{{Name: name, CIDR: netip.MustParsePrefix(cidr), VXLAN: model.Always}}
		annotations := map[string]string{}
		var first string
		for range 2 {
			want, err := a.Ensure(t.Context(), models, annotations)
			if err != nil {
				t.Fatal(err)
			}
			annotations = want
			addr, err := netip.ParseAddr(want[model.AnnotationIPv4VXLANAddr])
			if err != nil || !models[0].CIDR.Contains(addr) || want[model.AnnotationIPv4IPIPAddr] != "" || first != "" && first != addr.String() {
				t.Fatalf("annotations %v, first %s", want, first)
			}
			first = addr.String()
		}
		cidrOfBlock := netip.PrefixFrom(netip.MustParseAddr(first), 26).Masked()
		handle := b.spec("ipamhandles", "vxlan-tunnel-addr-"+name)
		if !strings.Contains(handle, `"block":{"`+cidrOfBlock.String()+`":1}`) {
			t.Errorf("handle %s", handle)
		}
		block := b.spec("ipamblocks", spec.BlockName(cidrOfBlock))
		for _, part := range []string{`"node":"` + name + `"`, `"type":"vxlanTunnelAddress"`, `"handle_id":"vxlan-tunnel-addr-` + name + `"`} {
			if !strings.Contains(block, part) {
				t.Errorf("block %s lacks %s", block, part)
			}
		}
		if _, err := pools.Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"vxlanMode":"Never"}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		models[0].VXLAN = model.Never
		if want, err := a.Ensure(t.Context(), models, annotations); err != nil || want[model.AnnotationIPv4VXLANAddr] != "" {
			t.Errorf("annotations %v, %v", want, err)
		}
		handles := b.server.Dynamic().Resource(apiserver.ResourceIn(b.client.Group, "ipamhandles"))
		if _, err := handles.Get(t.Context(), "vxlan-tunnel-addr-"+name, metav1.GetOptions{}); err == nil {
			t.Error("the handle is left")
		}
	})
}
