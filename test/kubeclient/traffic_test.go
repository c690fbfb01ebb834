// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"io"
	"log"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"calico-cni/pkg/kubeapi"
	"calico-cni/test/apiserver"
)

// proxy forwards connections to the API server. It counts them and the bytes of the responses.
type proxy struct {
	address     string
	connections atomic.Int64
	answered    atomic.Int64
}

func proxyTo(t *testing.T, s *apiserver.Server) *proxy {
	t.Helper()
	l := listen(t)
	p := &proxy{address: l.Addr().String()}
	server := strings.TrimPrefix(s.URL(), "https://")
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.connections.Add(1)
			go p.pass(in, server)
		}
	}()
	return p
}

func (p *proxy) pass(in net.Conn, server string) {
	defer in.Close()
	out, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	go func() {
		defer out.Close()
		_, _ = io.Copy(out, in)
	}()
	_, _ = io.Copy(in, io.TeeReader(out, counter{&p.answered}))
}

// counter counts the bytes written to it.
type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}

// listen returns a listener on loopback that is closed when the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// quiet returns a logger that writes to the test's log.
func quiet(t *testing.T) *log.Logger { return log.New(t.Output(), "", 0) }

func TestFirstParallelRoundUsesOneConnection(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	create(t, admin(t, s), "parallel", "10.0.0.1")
	p := proxyTo(t, s)
	client := at(t, s, p.address)

	var start, done sync.WaitGroup
	start.Add(1)
	round := func(request func() error) {
		done.Go(func() {
			start.Wait()
			if err := request(); err != nil {
				t.Error(err)
			}
		})
	}
	for range 8 {
		round(func() error { _, err := reservations(client).Get(ctx, "parallel"); return err })
		round(func() error { _, err := reservations(client).List(ctx, kubeapi.ListOptions{}); return err })
		round(func() error { _, err := kubeapi.Namespace(ctx, client, "default"); return err })
	}
	start.Done()
	done.Wait()
	if n := p.connections.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// fatPod has 100 KB of specification, but little metadata.
func fatPod(pod *corev1.Pod) {
	pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "FAT", Value: strings.Repeat("0123456789", fat/10)}}
	pod.Labels = map[string]string{"app": "fat"}
}

const fat = 100_000

func TestPodsAreReadAndPatchedAsMetadataOnly(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	pod, err := s.Admin().CreatePod(ctx, "n", "default", "fat", fatPod)
	do(t, err)
	p := proxyTo(t, s)
	client := at(t, s, p.address)
	// The first request includes the handshake.
	_, err = kubeapi.Namespace(ctx, client, "default")
	do(t, err)

	before := p.answered.Load()
	got, err := kubeapi.Pod(ctx, client, "default", "fat")
	do(t, err)
	want := kubeapi.Meta{
		Name: "fat", UID: string(pod.UID), ResourceVersion: pod.ResourceVersion,
		Labels: map[string]string{"app": "fat"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	do(t, kubeapi.AnnotatePod(ctx, client, "default", got, map[string]*string{"a": new("b")}))
	if n := p.answered.Load() - before; n > fat/10 {
		t.Errorf("read and patch of a pod of %d bytes brought %d bytes, want metadata only", fat, n)
	}

	// Check that the proxy would notice a complete pod.
	before = p.answered.Load()
	whole := kubeapi.NewResource[corev1.Namespace](client, "../api/v1/namespaces/default", "pods")
	if _, err := whole.Get(ctx, "fat"); err != nil {
		t.Fatal(err)
	}
	if n := p.answered.Load() - before; n < fat {
		t.Errorf("the whole pod brought %d bytes, want at least %d", n, fat)
	}
}

func TestNodesAndNamespacesAreReadAsMetadata(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	_, err := s.Admin().CreateNode(ctx, "metadata")
	do(t, err)
	client := admin(t, s)
	node, err := kubeapi.Node(ctx, client, "metadata")
	do(t, err)
	if diff := cmp.Diff(map[string]string{"kubernetes.io/hostname": "metadata"}, node.Labels); diff != "" ||
		node.Name != "metadata" {
		t.Errorf("node %q, labels (-want +got):\n%s", node.Name, diff)
	}
	namespace, err := kubeapi.Namespace(ctx, client, "default")
	do(t, err)
	if namespace.Name != "default" || namespace.Labels["kubernetes.io/metadata.name"] != "default" {
		t.Errorf("namespace is %+v", namespace)
	}
}

func TestListsFollowTheSelector(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	for name, set := range map[string]string{"selected": "x", "unselected": "y"} {
		o := reservation(name)
		o.Metadata.Labels = map[string]string{"set": set}
		_, err := reservations(client).Create(ctx, name, o)
		do(t, err)
	}
	list, err := reservations(client).List(ctx, kubeapi.ListOptions{Selector: "set=x"})
	do(t, err)
	if len(list) != 1 || list[0].Metadata.Name != "selected" {
		t.Errorf("selected %v", list)
	}
}

// TestCachedListContainsEarlierWrites writes another resource between the write that a list must show and the list.
func TestCachedListContainsEarlierWrites(t *testing.T) {
	ctx, s := t.Context(), cluster(t)
	client := admin(t, s)
	create(t, client, "cached", "10.0.0.1")
	// Other lists wait until the cache has caught up.
	_, err := reservations(client).List(ctx, kubeapi.ListOptions{})
	do(t, err)
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "another-resource"}}
	_, err = s.Client().CoreV1().ConfigMaps("default").Create(ctx, config, metav1.CreateOptions{})
	do(t, err)
	list, err := reservations(client).List(ctx, kubeapi.ListOptions{Cached: true})
	do(t, err)
	for _, o := range list {
		if o.Metadata.Name == "cached" {
			return
		}
	}
	t.Errorf("the cached list of %d objects lacks an object that was written before", len(list))
}
