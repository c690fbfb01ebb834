// SPDX-License-Identifier: Apache-2.0

// Package watch_test fills tables from the real API server.
package watch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"calico-cni/pkg/watch"
	"calico-cni/test/apiserver"
	"calico-cni/test/kubed"
)

func TestMain(m *testing.M) { apiserver.Main(m) }

// poolSpec is the part of an IPPool that the tests read.
type poolSpec struct {
	CIDR string `json:"cidr"`
}

type poolTable = watch.Table[*watch.Object[poolSpec], string]

var pools = watch.Kind{Group: "crd.projectcalico.org", Version: "v1", Name: "IPPool", Plural: "ippools"}

// follower is a table of pools with its source.
type follower struct {
	table   *poolTable
	source  *watch.Source
	changes atomic.Int64
	faults  chan string
}

// follow fills a table of a kind with the content of IPPool until the test ends.
func follow(t *testing.T, config *rest.Config, k watch.Kind, optional bool) *follower {
	t.Helper()
	connection, err := watch.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := watch.Contents[poolSpec](connection, k)
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{faults: make(chan string, 100)}
	f.table = watch.NewTable(
		func(o *watch.Object[poolSpec]) string { return o.Spec.CIDR },
		func(a, b string) bool { return a == b }, func() { f.changes.Add(1) })
	f.source = &watch.Source{
		Kind: k.Name, Client: client, Store: f.table, Optional: optional, Now: time.Now,
		Failed: func(err error) {
			select {
			case f.faults <- fmt.Sprint(err):
			default:
			}
		},
	}
	run(t, f.source.Run)
	return f
}

// run runs a function until the test ends.
func run(t *testing.T, f func(context.Context)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(t.Context())
	}()
	t.Cleanup(func() { <-done })
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// has says whether the table of a follower has these values, in the form "name=value …", by name.
func (f *follower) has(want string) func() bool {
	return func() bool {
		got := fmt.Sprint(f.table.Values())
		return f.table.Synced() && got == "map["+strings.ReplaceAll(want, "=", ":")+"]"
	}
}

func applyCRDs(t *testing.T, s *apiserver.Server) {
	t.Helper()
	if err := s.Admin().ApplyCRDs(t.Context(), os.DirFS(filepath.Join("..", "..", "deploy", "crds", "v1"))); err != nil {
		t.Fatal(err)
	}
}

func createPool(t *testing.T, s *apiserver.Server, name, cidr string) {
	t.Helper()
	_, err := s.Dynamic().Resource(apiserver.CalicoResource("ippools")).Create(t.Context(), &unstructured.Unstructured{
		Object: map[string]any{
			"apiVersion": "crd.projectcalico.org/v1", "kind": "IPPool", "metadata": map[string]any{"name": name},
			"spec": map[string]any{"cidr": cidr},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func deletePool(t *testing.T, s *apiserver.Server, name string) {
	t.Helper()
	err := s.Dynamic().Resource(apiserver.CalicoResource("ippools")).Delete(t.Context(), name, metav1.DeleteOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableFollowsObjects(t *testing.T) {
	s := apiserver.ForTest(t)
	applyCRDs(t, s)
	createPool(t, s, "one", "10.1.0.0/16")
	f := follow(t, s.Config(), pools, false)
	eventually(t, "the first pool", f.has("one=10.1.0.0/16"))
	createPool(t, s, "two", "10.2.0.0/16")
	eventually(t, "the second pool", f.has("one=10.1.0.0/16 two=10.2.0.0/16"))
	deletePool(t, s, "one")
	eventually(t, "the deletion", f.has("two=10.2.0.0/16"))

	// A change of a field that is not read is no change of the value. The next deletion marks its end.
	before := f.changes.Load()
	_, err := s.Dynamic().Resource(apiserver.CalicoResource("ippools")).Patch(t.Context(), "two", types.MergePatchType,
		[]byte(`{"spec":{"natOutgoing":true}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	deletePool(t, s, "two")
	eventually(t, "the deletion", f.has(""))
	if n := f.changes.Load() - before; n != 1 {
		t.Errorf("%d changes were reported, want 1", n)
	}
	if _, err := f.source.Fault(); err != nil {
		t.Error(err)
	}
}

func TestMetadataTable(t *testing.T) {
	s := apiserver.ForTest(t)
	if _, err := s.Admin().CreateNode(t.Context(), "metadata-1"); err != nil {
		t.Fatal(err)
	}
	connection, err := watch.Connect(s.Config())
	if err != nil {
		t.Fatal(err)
	}
	client, err := connection.Metadata(watch.Kind{
		Version: "v1", Name: "Node", Plural: "nodes", Selector: "metadata.name=metadata-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	table := watch.NewTable(func(o *metav1.PartialObjectMetadata) string { return o.Annotations["test/value"] },
		func(a, b string) bool { return a == b }, func() {})
	source := &watch.Source{Kind: "Node", Client: client, Store: table, Now: time.Now, Failed: func(error) {}}
	run(t, source.Run)
	eventually(t, "the node", func() bool { return fmt.Sprint(table.Values()) == "map[metadata-1:]" })
	_, err = s.Client().CoreV1().Nodes().Patch(t.Context(), "metadata-1", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"test/value":"x"}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the annotation", func() bool { return fmt.Sprint(table.Values()) == "map[metadata-1:x]" })
}

func TestKindThatIsNotServed(t *testing.T) {
	s := apiserver.ForTest(t)
	absent := watch.Kind{Group: "absent.example.org", Version: "v1", Name: "Absent", Plural: "absents"}
	optional := follow(t, s.Config(), absent, true)
	eventually(t, "the empty table", optional.has(""))
	required := follow(t, s.Config(), absent, false)
	const want = "watch Absent: the API server does not serve this kind; apply its CustomResourceDefinition"
	if got := <-required.faults; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if required.table.Synced() {
		t.Error("the table of a missing kind is complete")
	}
}

func TestForbiddenKind(t *testing.T) {
	s := apiserver.ForTest(t)
	applyCRDs(t, s)
	if err := s.Admin().CreateServiceAccount(t.Context(), "default", "no-rights"); err != nil {
		t.Fatal(err)
	}
	config, err := s.Accounts().ConfigFor(t.Context(), "default", "no-rights")
	if err != nil {
		t.Fatal(err)
	}
	f := follow(t, config, pools, false)
	got := <-f.faults
	if !strings.HasPrefix(got, "watch IPPool: ") || !strings.HasSuffix(got,
		"allow list and watch of it in the ClusterRole of calico-node") {
		t.Error(got)
	}
}

// TestTableSurvivesRestartOfServer also runs on a server that cannot stream lists.
func TestTableSurvivesRestartOfServer(t *testing.T) {
	for name, flags := range map[string][]string{
		"streamed lists": nil, "lists": {"--feature-gates=WatchList=false"},
	} {
		t.Run(name, func(t *testing.T) {
			binary, err := kubed.ServerPath(t.Context(), os.Stderr)
			if err != nil {
				t.Fatal(err)
			}
			o := apiserver.Options{Kubed: binary, Dir: t.TempDir(), Flags: flags}
			s, err := apiserver.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Kill() }()
			applyCRDs(t, s)
			createPool(t, s, "one", "10.1.0.0/16")
			f := follow(t, s.Config(), pools, false)
			eventually(t, "the first pool", f.has("one=10.1.0.0/16"))
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the fault", func() bool { since, err := f.source.Fault(); return err != nil && !since.IsZero() })
			if !f.has("one=10.1.0.0/16")() {
				t.Errorf("the table lost its values: %v", f.table.Values())
			}
			if s, err = apiserver.Start(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			createPool(t, s, "two", "10.2.0.0/16")
			deletePool(t, s, "one")
			eventually(t, "the changes", f.has("two=10.2.0.0/16"))
			eventually(t, "no fault", func() bool { _, err := f.source.Fault(); return err == nil })
		})
	}
}
