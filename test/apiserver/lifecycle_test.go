// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"calico-cni/internal/nettest"
	"calico-cni/test/apiserver"
	"calico-cni/test/kubed"
)

func TestRestartedServerKeepsDataAndCredentials(t *testing.T) {
	for name, end := range map[string]func(*apiserver.Server) error{
		"stopped": (*apiserver.Server).Stop,
		"killed":  (*apiserver.Server).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, options := t.Context(), apiserver.Options{Kubed: binary(t), Dir: filepath.Join(t.TempDir(), "state")}
			first := must(apiserver.Start(ctx, options))(t)
			t.Cleanup(func() { do(t, first.Kill()) })
			maps := first.Client().CoreV1().ConfigMaps("default")
			must(maps.Create(ctx, configMap("kept", "v", "1"), metav1.CreateOptions{}))(t)
			do(t, first.Admin().CreateServiceAccount(ctx, "default", "plugin"))
			plugin := must(first.Accounts().ConfigFor(ctx, "default", "plugin"))(t)
			do(t, end(first))
			wantGone(t, first.PID())

			second := must(apiserver.Start(ctx, options))(t)
			t.Cleanup(func() { do(t, second.Stop()) })
			if first.URL() != second.URL() {
				t.Errorf("URL was %s and is %s", first.URL(), second.URL())
			}
			// The clients of the first server reach the second one.
			if got := must(maps.Get(ctx, "kept", metav1.GetOptions{}))(t).Data["v"]; got != "1" {
				t.Errorf("v is %q, want 1", got)
			}
			if user := whoami(t, plugin); user != "system:serviceaccount:default:plugin" {
				t.Errorf("user of the older token is %q", user)
			}
		})
	}
}

func TestServerRunsInNetworkNamespace(t *testing.T) {
	ns := nettest.NewNetNS(t)
	ns.Do(func() { do(t, netlink.LinkSetUp(must(netlink.LinkByName("lo"))(t))) })
	ctx := t.Context()
	s := must(apiserver.Start(ctx, apiserver.Options{
		Kubed: binary(t), Dir: t.TempDir(), NetNS: ns.Path, Address: netip.MustParseAddr("127.0.0.7"), Port: 6443,
	}))(t)
	t.Cleanup(func() { do(t, s.Stop()) })

	if want := "https://127.0.0.7:6443"; s.URL() != want {
		t.Errorf("URL is %s, want %s", s.URL(), want)
	}
	must(s.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{}))(t)
	outside := s.Config()
	outside.Dial = nil
	client := must(rest.HTTPClientFor(outside))(t)
	if _, err := client.Get(s.URL() + "/readyz"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("from outside of the namespace: %v, want connection refused", err)
	}
}

func TestFailedStartReportsCause(t *testing.T) {
	_, err := apiserver.Start(t.Context(), apiserver.Options{
		Kubed: binary(t), Dir: t.TempDir(), Flags: []string{"--no-such-flag"},
	})
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("error is %v; want exit status 1 and the name of the flag", err)
	}
}

// binary returns the path of kubed.
func binary(t *testing.T) string {
	t.Helper()
	return must(kubed.ServerPath(t.Context(), os.Stderr))(t)
}

// wantGone checks that no process has the ID, not even as a zombie.
func wantGone(t *testing.T, pid int) {
	t.Helper()
	if _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("process %d still exists", pid)
	}
}
