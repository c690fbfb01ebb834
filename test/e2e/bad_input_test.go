// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/internal/nettest"
	"calico-cni/test/node"
)

// secret is part of every kubeconfig of these tests. No result, error or log may contain it.
const secret = "s3cr3t-t0k3n-value"

// refusal describes an ADD that must fail.
type refusal struct {
	name string
	// changes are changes to the configuration, env to the environment.
	changes map[string]any
	env     []string
	// stdin replaces the configuration.
	stdin string
	code  uint
	// says are parts of the message: the object and the remedy.
	says []string
}

// expectRefusal calls ADD. It expects the error, no other output, and no leftovers.
func expectRefusal(t *testing.T, p *node.Pod, r refusal) {
	t.Helper()
	config, err := n.Config(r.changes)
	must(t, err)
	c := node.Call{Plugin: "calico", Command: "ADD", Pod: p, Config: config, Env: map[string]string{}}
	for i := 0; i < len(r.env); i += 2 {
		c.Env[r.env[i]] = r.env[i+1]
	}
	if r.stdin != "" {
		c.Stdin = []byte(r.stdin)
	}
	unchanged(t, "refused ADD", func() {
		a, err := n.Run(t.Context(), c)
		must(t, err)
		if a.Exit != 1 || a.Error.Code != r.code {
			t.Errorf("exit %d, code %d, want 1 and %d; message: %s", a.Exit, a.Error.Code, r.code, a.Error.Msg)
		}
		for _, part := range r.says {
			if !strings.Contains(a.Error.Msg, part) {
				t.Errorf("message does not contain %q: %s", part, a.Error.Msg)
			}
		}
		if a.Error.CNIVersion == "" || strings.Contains(a.Error.Msg, "\n") ||
			strings.Count(strings.TrimSpace(a.Stdout), "\n") > 0 {
			t.Errorf("not one error object on one line: %q", a.Stdout)
		}
		if strings.Contains(a.Stdout+a.Stderr, secret) {
			t.Errorf("the secret is in the output:\n%s\n%s", a.Stdout, a.Stderr)
		}
	})
}

func TestInvalidConfigurationIsRejected(t *testing.T) {
	p := newPod(t, "bad-config")
	for _, r := range []refusal{
		{name: "malformed JSON", stdin: `{"cniVersion": "1.1.0", `, code: 6, says: []string{"network configuration"}},
		{name: "no JSON object", stdin: `["x"]`, code: 6},
		{
			name: "unknown cniVersion", changes: map[string]any{"cniVersion": "9.9.9"}, code: 1,
			says: []string{`"9.9.9"`, "0.1.0", "1.1.0"},
		},
		{name: "missing network name", changes: map[string]any{"name": nil}, code: 7, says: []string{"name"}},
		{name: "bad network name", changes: map[string]any{"name": "a/b"}, code: 7, says: []string{`"a/b"`}},
		{name: "wrong type of a field", changes: map[string]any{"mtu": "large"}, code: 6, says: []string{"mtu"}},
		{name: "value out of range", changes: map[string]any{"mtu": 100000}, code: 7, says: []string{"mtu", "100000"}},
		{
			name: "etcd", changes: map[string]any{"datastore_type": "etcdv3"}, code: 2,
			says: []string{"datastore_type", "etcdv3"},
		},
		{name: "no IPAM plugin", changes: map[string]any{"ipam.type": ""}, code: 7, says: []string{"ipam.type"}},
		{
			name: "no address family", changes: map[string]any{
				"ipam.assign_ipv4": "false",
				"ipam.assign_ipv6": "false",
			},
			code: 7, says: []string{"assign_ipv4", "assign_ipv6"},
		},
	} {
		t.Run(r.name, func(t *testing.T) { expectRefusal(t, p, r) })
	}
}

func TestInvalidEnvironmentIsRejected(t *testing.T) {
	p := newPod(t, "bad-env")
	for _, r := range []refusal{
		{name: "no command", env: []string{"CNI_COMMAND", "-"}, code: 4, says: []string{"CNI_COMMAND"}},
		{name: "unknown command", env: []string{"CNI_COMMAND", "ADDD"}, code: 4, says: []string{"CNI_COMMAND", "ADDD"}},
		{name: "no container ID", env: []string{"CNI_CONTAINERID", "-"}, code: 4, says: []string{"CNI_CONTAINERID"}},
		{
			name: "bad container ID", env: []string{"CNI_CONTAINERID", "../x"}, code: 4,
			says: []string{"CNI_CONTAINERID", "../x"},
		},
		{name: "no namespace path", env: []string{"CNI_NETNS", "-"}, code: 4, says: []string{"CNI_NETNS"}},
		{
			name: "namespace that does not exist", env: []string{"CNI_NETNS", "/run/netns/nowhere"}, code: 4,
			says: []string{"CNI_NETNS", "/run/netns/nowhere", "does not exist"},
		},
		{
			name: "path that is no namespace", env: []string{"CNI_NETNS", "/etc/hostname"}, code: 4,
			says: []string{"/etc/hostname"},
		},
		{
			name: "the host's own namespace", env: []string{"CNI_NETNS", "/proc/self/ns/net"}, code: 4,
			says: []string{"CNI_NETNS", "own network namespace"},
		},
		{name: "no interface name", env: []string{"CNI_IFNAME", "-"}, code: 4, says: []string{"CNI_IFNAME"}},
		{
			name: "long interface name", env: []string{"CNI_IFNAME", "sixteen-letters-"}, code: 4,
			says: []string{"CNI_IFNAME"},
		},
		{name: "malformed CNI_ARGS", env: []string{"CNI_ARGS", "K8S_POD_NAME"}, code: 4, says: []string{"CNI_ARGS"}},
		{
			name: "unknown key in CNI_ARGS", env: []string{"CNI_ARGS", "WHAT=1"}, code: 4,
			says: []string{"CNI_ARGS", "WHAT"},
		},
		{
			name: "pod without namespace", env: []string{"CNI_ARGS", "K8S_POD_NAME=a"}, code: 4,
			says: []string{"K8S_POD_NAMESPACE"},
		},
		{
			name: "long interface prefix", env: []string{"FELIX_INTERFACEPREFIX", "toolongprefix"}, code: 4,
			says: []string{"FELIX_INTERFACEPREFIX"},
		},
		{
			name: "pod that does not exist", env: []string{"CNI_ARGS", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=ghost"},
			code: 11, says: []string{"default/ghost", "deleted"},
		},
		{
			name: "pod that was replaced",
			env:  []string{"CNI_ARGS", "K8S_POD_NAMESPACE=default;K8S_POD_NAME=bad-env;K8S_POD_UID=0-0-0"},
			code: 11, says: []string{"default/bad-env", "0-0-0", "has taken its place"},
		},
	} {
		t.Run(r.name, func(t *testing.T) { expectRefusal(t, p, r) })
	}
}

func TestA2_TakenInterfaceNameIsRejected(t *testing.T) {
	p := newPod(t, "bad-taken")
	add(t, p, nil)
	podNS := nettest.Open(t, p.NetNS)
	before := podNS.Dump()
	expectRefusal(t, p, refusal{code: 4, says: []string{"eth0"}})
	if diff := cmp.Diff(before, podNS.Dump()); diff != "" {
		t.Errorf("the pod changed (-before +after):\n%s", diff)
	}
}

// kubeconfig writes a kubeconfig for a server, with the secret as its token.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(path, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"clusters":[{"name":"c","cluster":{"server":%q,"insecure-skip-tls-verify":true}}],
		"users":[{"name":"c","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c",
			"user":"c"}}]}`, server, secret), 0o600))
	return path
}

func TestUnreachableAPIServerIsExplained(t *testing.T) {
	p := newPod(t, "bad-server")
	garbage := filepath.Join(t.TempDir(), "garbage")
	must(t, os.WriteFile(garbage, []byte("{{{ "+secret), 0o600))
	// The port of a closed listener refuses connections.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dead := "https://" + l.Addr().String()
	must(t, l.Close())
	broken := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer broken.Close()
	broken.TLS = &tls.Config{MinVersion: tls.VersionTLS12}

	unprivileged := filepath.Join(t.TempDir(), "unprivileged")
	must(t, n.Server.Admin().CreateServiceAccount(t.Context(), "default", "nobody"))
	must(t, n.Server.Accounts().WriteKubeconfig(t.Context(), unprivileged, "default", "nobody"))

	for _, r := range []struct {
		name, kubeconfig string
		code             uint
		says             []string
	}{
		{"no kubeconfig", "/nowhere/kubeconfig", 11, []string{"/nowhere/kubeconfig", "correct kubernetes.kubeconfig"}},
		{"garbage in kubeconfig", garbage, 5, []string{garbage, "install"}},
		{"empty kubeconfig path", "", 7, []string{"kubernetes.kubeconfig"}},
		{"dead server", kubeconfig(t, dead), 11, []string{dead, "connection refused"}},
		{"failing server", kubeconfig(t, broken.URL), 11, []string{broken.URL}},
		{"token rejected", kubeconfig(t, n.Server.URL()), 11, []string{"credentials refused", "write a new token"}},
		{"role missing", unprivileged, 101, []string{"not permitted", "ClusterRole"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			expectRefusal(t, p, refusal{
				changes: map[string]any{"kubernetes.kubeconfig": r.kubeconfig}, code: r.code,
				says: r.says,
			})
		})
	}
}

// onlyPools replaces the pools of the cluster until the test ends.
func onlyPools(t *testing.T, create func()) {
	t.Helper()
	installed(t)
	pools := n.Datastore.Resource("ippools")
	saved, err := pools.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	for _, p := range saved.Items {
		must(t, n.Datastore.Delete(t.Context(), "ippools", p.GetName()))
	}
	create()
	t.Cleanup(func() {
		ctx := withoutCancel(t.Context())
		now, err := pools.List(ctx, metav1.ListOptions{})
		must(t, err)
		for _, p := range now.Items {
			must(t, n.Datastore.Delete(ctx, "ippools", p.GetName()))
		}
		for _, p := range saved.Items {
			p.SetResourceVersion("")
			p.SetUID("")
			_, err := pools.Create(ctx, &p, metav1.CreateOptions{})
			must(t, err)
		}
	})
}

func TestNoAddressIsExplained(t *testing.T) {
	only4 := map[string]any{"ipam.assign_ipv6": "false"}
	t.Run("no pool", func(t *testing.T) {
		onlyPools(t, func() {})
		expectRefusal(t, newPod(t, "none-pool"),
			refusal{changes: only4, code: 11, says: []string{"there is no IPv4 pool", "create an IPPool"}})
	})
	t.Run("no matching pool", func(t *testing.T) {
		onlyPools(t, func() {
			must(t, n.Datastore.CreatePool(t.Context(), "elsewhere", "10.50.0.0/24", 26, func(spec map[string]any) {
				spec["nodeSelector"] = "zone == 'moon'"
			}))
			must(t, n.Datastore.CreatePool(t.Context(), "off", "10.51.0.0/24", 26, func(spec map[string]any) {
				spec["disabled"] = true
			}))
		})
		expectRefusal(t, newPod(t, "none-match"), refusal{
			changes: only4, code: 11,
			says: []string{
				"elsewhere: nodeSelector", "moon", "kubernetes.io/hostname=node-1", "off: disabled",
				"change the nodeSelector or the labels",
			},
		})
	})
	t.Run("full pool", func(t *testing.T) {
		onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "tiny", "10.52.0.0/31", 31)) })
		for i := range 2 {
			add(t, newPod(t, fmt.Sprint("none-full-", i)), only4)
		}
		expectRefusal(t, newPod(t, "none-full"),
			refusal{changes: only4, code: 11, says: []string{"tiny", "10.52.0.0/31", "in use", "free addresses"}})
	})
	t.Run("one family of two", func(t *testing.T) {
		onlyPools(t, func() { must(t, n.Datastore.CreatePool(t.Context(), "four", "10.53.0.0/26", 26)) })
		expectRefusal(t, newPod(t, "none-six"), refusal{code: 11, says: []string{"IPv6", "there is no IPv6 pool"}})
	})
	t.Run("requested pool does not exist", func(t *testing.T) {
		p := newPod(t, "none-asked", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"cni.projectcalico.org/ipv4pools": `["10.99.0.0/16"]`}
		})
		expectRefusal(t, p, refusal{
			code: 102,
			says: []string{"the given pool (10.99.0.0/16) does not exist, or is not enabled"},
		})
	})
	t.Run("malformed annotation", func(t *testing.T) {
		p := newPod(t, "none-annotation", func(p *corev1.Pod) {
			p.Annotations = map[string]string{"cni.projectcalico.org/ipv4pools": `pool`}
		})
		expectRefusal(t, p, refusal{code: 7, says: []string{"cni.projectcalico.org/ipv4pools", "JSON list"}})
	})
	t.Run("locked datastore", func(t *testing.T) {
		must(t, n.Datastore.Create(t.Context(), "ClusterInformation", "clusterinformations", "default",
			map[string]any{"datastoreReady": false}))
		p := newPodWithoutNetwork(t, "none-locked")
		expectRefusal(t, p, refusal{code: 11, says: []string{"ClusterInformation default", "datastoreReady"}})
		if a := del(t, p, nil); a.Exit != 0 {
			t.Errorf("DEL with a queued release: %+v", a)
		}
		dropQueued(t, p.ContainerID)
		must(t, n.Datastore.Delete(t.Context(), "clusterinformations", "default"))
		must(t, n.RemovePod(t.Context(), p))
	})
	t.Run("node agent not ready", func(t *testing.T) {
		p := newPod(t, "none-agent")
		missing := map[string]any{"nodename_file": "/var/lib/calico/not-there"}
		expectRefusal(t, p, refusal{
			changes: missing, code: 11,
			says: []string{"/var/lib/calico/not-there", "calico-node"},
		})
		if a := del(t, p, missing); a.Exit != 0 {
			t.Errorf("DEL without nodename file: %+v", a)
		}
		missing["nodename_file_optional"] = true
		add(t, p, missing)
	})
}
