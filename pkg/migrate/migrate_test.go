// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/memstore"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/workload"
)

var noon = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func TestLeasesReadsHostLocalFiles(t *testing.T) {
	store := fstest.MapFS{
		"10.1.0.9":           {Data: []byte("c1\r\neth0"), ModTime: noon},
		"10.1.0.10":          {Data: []byte("c2\r\nnet1"), ModTime: noon},
		"10.1.0.2":           {Data: []byte("from-before-2018\n"), ModTime: noon},
		"10.1.0.3":           {Data: nil, ModTime: noon},
		"fd00::9":            {Data: []byte("c1\r\neth0"), ModTime: noon},
		"last_reserved_ip.0": {Data: []byte("10.1.0.9")},
		"lock":               {},
		"10.1.0.4/x":         {Data: []byte("c9")},
	}
	got, err := Leases(store)
	if err != nil {
		t.Fatal(err)
	}
	want := []Lease{
		{addr("10.1.0.2"), "from-before-2018", "eth0", noon},
		{addr("10.1.0.3"), "", "eth0", noon},
		{addr("10.1.0.9"), "c1", "eth0", noon},
		{addr("10.1.0.10"), "c2", "net1", noon},
		{addr("fd00::9"), "c1", "eth0", noon},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadCacheFindsPods(t *testing.T) {
	got := readCache(fstest.MapFS{
		"net-c1-eth0": {Data: []byte(`{"kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"net",
			"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","cart"]]}`)},
		"net-c2-net1":   {Data: []byte(`{"kind":"cniCacheV1","containerId":"c2","ifName":"net1","networkName":"net"}`)},
		"net-c3-eth0":   {Data: []byte(`{"cniVersion":"0.3.1"}`)},
		"net-2-c4-eth0": {Data: []byte(`{"containerId":"c4","ifName":"eth0","networkName":"net-2"}`)},
		"net-c5-eth0":   {Data: []byte(`half of a fil`)},
	}, "net")
	want := cache{{"c1", "eth0"}: {Namespace: "shop", Pod: "cart"}, {"c2", "net1"}: {}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(attachment{}),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLeaseIsAliveWithAnySign(t *testing.T) {
	old := noon.Add(-time.Hour)
	lease := func(id string, since time.Time) Lease { return Lease{addr("10.1.0.9"), id, "eth0", since} }
	knowsOther, knows := cache{{"other", "eth0"}: {}}, cache{{"c", "eth0"}: {}}
	for _, c := range []struct {
		name   string
		lease  Lease
		cache  cache
		routed []netip.Addr
		want   bool
	}{
		{"no sign", lease("c", old), knowsOther, nil, false},
		{"cached by the runtime", lease("c", old), knows, nil, true},
		{"host route", lease("c", old), knowsOther, []netip.Addr{addr("10.1.0.9")}, true},
		{"young lease", lease("c", noon.Add(-time.Minute)), knowsOther, nil, true},
		{"empty or unmounted cache", lease("c", old), cache{}, nil, true},
		{"no container", lease("", old), cache{}, nil, false},
	} {
		if got := (signs{c.cache, c.routed, noon}).alive(c.lease); got != c.want {
			t.Errorf("%s: alive %v", c.name, got)
		}
	}
}

func TestHostRoutesOfKernelTables(t *testing.T) {
	const head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
	table := head + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"cali1\t0900010A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n" +
		"eth0\t0001010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
	if got := fmt.Sprint(routes4(strings.NewReader(table), false)); got != "[10.1.0.9]" {
		t.Error(got)
	}
	if got := fmt.Sprint(routes4(strings.NewReader(strings.Replace(table, "0900010A", "0A010009", 1)),
		true)); got != "[10.1.0.9]" {
		t.Error(got)
	}
	zero := strings.Repeat("0", 32)
	table = "fd000000000000000000000000000009 80 " + zero + " 00 " + zero +
		" 00000400 00000001 00000000 00000001    cali1\n" +
		"fd000000000000000000000000000001 80 " + zero + " 00 " + zero +
		" 00000000 00000001 00000000 80200001       lo\n" +
		"fd000000000000000000000000000000 40 " + zero + " 00 " + zero +
		" 00000100 00000001 00000000 00000001     eth0\n"
	if got := fmt.Sprint(routes6(strings.NewReader(table))); got != "[fd00::9]" {
		t.Error(got)
	}
}

// memoryAddresses is block IPAM with an in-memory store. test/e2e runs the migration against the real one.
type memoryAddresses struct {
	nodeipam.Allocations
	// before is called with the name of each operation. Its error becomes the result.
	before func(what string) error
}

func newAddresses(t *testing.T) *memoryAddresses {
	t.Helper()
	store := memstore.New(time.Now)
	for name, cidr := range map[string]string{"four": "10.1.0.0/24", "six": "fd00::/120"} {
		prefix := netip.MustParsePrefix(cidr)
		store.IPPools = append(store.IPPools, pool.Pool{Name: name, CIDR: prefix, BlockSize: prefix.Bits() + 2})
	}
	return &memoryAddresses{nodeipam.Allocations{
		Store: store, Cluster: store, LockFile: filepath.Join(t.TempDir(), "lock"), Now: time.Now,
		Log: slog.New(slog.DiscardHandler),
	}, func(string) error { return nil }}
}

func (a *memoryAddresses) Claim(context.Context) error { return a.before("claim") }

func (a *memoryAddresses) Held(ctx context.Context, id workload.ID) ([]netip.Addr, error) {
	return a.of(ctx, id.ContainerID), a.before("held " + id.ContainerID)
}

func (a *memoryAddresses) of(ctx context.Context, container string) (addrs []netip.Addr) {
	held, _ := (&ipam.Allocator{Store: a.Store, Now: a.Now}).HeldByHandle(ctx, "net."+container)
	for _, h := range held {
		addrs = append(addrs, h.Addr)
	}
	return addrs
}

func (a *memoryAddresses) Take(ctx context.Context, id workload.ID, addr netip.Addr) error {
	if err := a.before("take " + addr.String()); err != nil {
		return err
	}
	r := nodeipam.Request{Network: "net", Node: "node", ID: id, Additional: true}
	r.RequestAddrs([]netip.Addr{addr})
	view, err := a.Gather(ctx, r)
	if err == nil {
		_, err = a.Assign(ctx, view, r)
	}
	return err
}

func (a *memoryAddresses) ReleaseAll(ctx context.Context, id workload.ID) error {
	if err := a.before("release " + id.ContainerID); err != nil {
		return err
	}
	held, err := a.Lookup(ctx, "net", id)
	if err == nil {
		_, err = a.Release(ctx, held, nodeipam.Evidence{})
	}
	return err
}

func (a *memoryAddresses) String() string {
	var out []string
	for _, id := range []string{"c1", "c2", "c3"} {
		if addrs := a.of(context.Background(), id); len(addrs) > 0 {
			out = append(out, fmt.Sprint(id, addrs))
		}
	}
	return strings.Join(out, " ")
}

// node returns a migration of leases such as "10.1.0.9=c1". The runtime has cached all of them.
func node(t *testing.T, leases ...string) (Migration, *memoryAddresses) {
	t.Helper()
	dir := t.TempDir()
	a := newAddresses(t)
	m := Migration{
		Network: "net", Networks: filepath.Join(dir, "networks"), Results: filepath.Join(dir, "results"),
		Proc: filepath.Join(dir, "proc"),
		Open: func(context.Context) (Addresses, error) { return a, nil }, addresses: a,
		Now: func() time.Time { return noon }, Log: slog.New(slog.DiscardHandler),
	}
	for _, d := range []string{m.store(), m.Results} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(m.Results, "net-x-eth0"), `{"containerId":"x","ifName":"eth0","networkName":"net"}`)
	for _, l := range leases {
		addLease(t, m, l)
	}
	return m, a
}

func addLease(t *testing.T, m Migration, l string) {
	t.Helper()
	ip, id, _ := strings.Cut(l, "=")
	write(t, filepath.Join(m.store(), ip), id+"\r\neth0")
	write(t, filepath.Join(m.Results, "net-"+id+"-eth0"),
		fmt.Sprintf(`{"containerId":%q,"ifName":"eth0","networkName":"net"}`, id))
}

// endContainer deletes an attachment as host-local and the runtime do.
func endContainer(t *testing.T, m Migration, l string) {
	t.Helper()
	ip, id, _ := strings.Cut(l, "=")
	_ = os.Remove(filepath.Join(m.store(), ip))
	if err := os.Remove(filepath.Join(m.Results, "net-"+id+"-eth0")); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, noon.Add(-time.Hour), noon.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// files lists host-local's directory, without its locks.
func files(t *testing.T, m Migration) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(m.Networks, func(path string, e os.DirEntry, err error) error {
		if name, _ := filepath.Rel(m.Networks, path); err == nil && !e.IsDir() && e.Name() != "lock" {
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %s\nwant: %s", what, got, want)
	}
}

func TestMigrationTakesOverLiveLeases(t *testing.T) {
	m, a := node(t, "10.1.0.9=c1", "fd00::9=c1", "10.1.0.10=c2")
	write(t, filepath.Join(m.store(), "10.1.0.11"), "forgotten\r\neth0")
	for range 2 {
		if err := m.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, "held", a.String(), "c1[10.1.0.9 fd00::9] c2[10.1.0.10]")
	}
	expect(t, "files", files(t, m), "net net.migrated/10.1.0.10 net.migrated/10.1.0.9 net.migrated/fd00::9")
	if !Done(os.ReadFile, m.Networks, m.Network) {
		t.Error("the marker is absent")
	}
	endContainer(t, m, "10.1.0.10=c2")
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "held after a DEL that came between", a.String(), "c1[10.1.0.9 fd00::9]")
	endContainer(t, m, "10.1.0.9=c1")
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "files after all containers have ended", files(t, m), "net")
}

func TestMigrationWithoutHostLocal(t *testing.T) {
	m, a := node(t)
	a.before = func(what string) error { return errors.New(what) }
	if err := errors.Join(os.Remove(m.store()), m.Run(t.Context())); err != nil {
		t.Error(err)
	}
	expect(t, "files", files(t, m), "")
}

// TestMigrationWithConcurrentContainers starts and ends a container at every call.
func TestMigrationWithConcurrentContainers(t *testing.T) {
	for call := 1; call <= 5; call++ {
		m, a := node(t, "10.1.0.9=c1", "10.1.0.10=c2")
		n := 0
		a.before = func(string) error {
			if n++; n == call {
				endContainer(t, m, "10.1.0.9=c1")
				addLease(t, m, "10.1.0.12=c3")
			}
			return nil
		}
		if err := m.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, fmt.Sprintf("held, changed at call %d", call), a.String(), "c2[10.1.0.10] c3[10.1.0.12]")
	}
}

// TestMigrationContinuesAfterFailure fails each call in turn, ends a container in the meantime, and runs again.
func TestMigrationContinuesAfterFailure(t *testing.T) {
	failed := errors.New("killed")
	for call := 1; ; call++ {
		m, a := node(t, "10.1.0.9=c1", "10.1.0.10=c2")
		n := 0
		a.before = func(string) error {
			if n++; n >= call {
				return failed
			}
			return nil
		}
		err := m.Run(t.Context())
		if err == nil {
			if call < 5 {
				t.Errorf("only %d calls", call)
			}
			break
		}
		if !errors.Is(err, failed) {
			t.Fatal(err)
		}
		if Done(os.ReadFile, m.Networks, m.Network) {
			t.Errorf("call %d: the marker is written before all addresses are taken over", call)
		}
		endContainer(t, m, "10.1.0.9=c1")
		a.before = func(string) error { return nil }
		if err := m.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, fmt.Sprintf("held, failed at call %d", call), a.String(), "c2[10.1.0.10]")
		expect(t, "files", files(t, m), "net net.migrated/10.1.0.10")
	}
}

func TestInterruptedExchangeIsFinished(t *testing.T) {
	m, a := node(t, "10.1.0.9=c1")
	if err := m.takeOver(t.Context(), []Lease{{
		Addr: addr("10.1.0.9"), ContainerID: "c1",
		IfName: "eth0",
	}}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.writeMark(), exchangeInSteps(m.aside(), m.store())); err != nil ||
		!Done(os.ReadFile, m.Networks, m.Network) {
		t.Fatal(err)
	}
	// This is the state after a kill before the last step.
	if err := errors.Join(os.Rename(m.store(), m.aside()+".new"), m.Run(t.Context())); err != nil {
		t.Fatal(err)
	}
	expect(t, "files", files(t, m), "net net.migrated/10.1.0.9")
	expect(t, "held", a.String(), "c1[10.1.0.9]")
	// This is the state after a kill before the step before that.
	m, a = node(t, "10.1.0.9=c1")
	write(t, m.aside()+".new", markerText)
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, "held", a.String(), "c1[10.1.0.9]")
	if !Done(os.ReadFile, m.Networks, m.Network) {
		t.Error("the marker is absent")
	}
}

func TestConcurrentMigrationIsRejected(t *testing.T) {
	m, a := node(t, "10.1.0.9=c1")
	a.before = func(what string) error {
		if what == "claim" {
			return nil
		}
		a.before = func(string) error { return nil }
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another migration is running") {
			t.Errorf("the second one: %v", err)
		}
		return nil
	}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMigrationReportsUnexpectedFiles(t *testing.T) {
	m, _ := node(t, "10.1.0.9=c1")
	if err := os.Mkdir(m.aside(), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "net.migrated has the leases of an earlier migration") {
		t.Error(err)
	}
	m, _ = node(t)
	if err := os.Remove(m.store()); err != nil {
		t.Fatal(err)
	}
	write(t, m.store(), "something else")
	if err := m.Run(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "neither host-local's directory nor the marker") {
		t.Error(err)
	}
}
