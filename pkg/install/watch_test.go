// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/binaries"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/record"
	"calico-cni/pkg/install/watch"
)

func TestWatchRepairsChanges(t *testing.T) {
	const conf = "host/etc/cni/net.d/10-calico.conflist"
	for _, tt := range []struct {
		name   string
		change func(h *host)
		says   string
	}{
		{"nothing", func(*host) {}, ""},
		{
			"binary removed", func(h *host) { _ = os.Remove(h.path("host/opt/cni/bin/calico")) },
			"opt/cni/bin/calico is missing",
		},
		{
			"binary replaced", func(h *host) { h.put("host/opt/cni/bin/calico-ipam", "v2") },
			"opt/cni/bin/calico-ipam differs from the desired state",
		},
		{
			"binary of others replaced", func(h *host) { h.put("host/opt/cni/bin/portmap", "v2") },
			"opt/cni/bin/portmap differs from the desired state",
		},
		{"binary cut off", func(h *host) { _ = os.Truncate(h.path("host/opt/cni/bin/calico"), 100) }, "100 bytes, of uid 0"},
		{"binary not executable", func(h *host) { _ = os.Chmod(h.path("host/opt/cni/bin/calico"), 0o644) }, "-rw-r--r--"},
		{
			"kubeconfig removed", func(h *host) { _ = os.Remove(h.path("host/etc/cni/net.d/calico-kubeconfig")) },
			"calico-kubeconfig is missing",
		},
		{
			"kubeconfig opened to all", func(h *host) { _ = os.Chmod(h.path("host/etc/cni/net.d/calico-kubeconfig"), 0o644) },
			"-rw-r--r--",
		},
		{"configuration removed", func(h *host) { _ = os.Remove(h.path(conf)) }, "10-calico.conflist is missing"},
		{
			"configuration replaced", func(h *host) { h.write(conf, `{"name": "rival", "plugins": [{"type": "bridge"}]}`) },
			`network \"rival\" of plugins bridge`,
		},
		{"configuration emptied", func(h *host) { h.write(conf, "") }, "not a network configuration"},
		{"all of it", func(h *host) {
			_ = os.RemoveAll(h.path("host/opt/cni/bin"))
			_ = os.Mkdir(h.path("host/opt/cni/bin"), 0o755)
			_ = os.RemoveAll(h.path("host/etc/cni/net.d"))
			_ = os.Mkdir(h.path("host/etc/cni/net.d"), 0o755)
		}, "missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t)
			w.look()
			w.look()
			before, _ := os.ReadFile(w.path("host/etc/cni/net.d/" + record.Name))
			w.log.Reset()
			tt.change(w.host)
			w.look()
			w.checkTree(installed)
			if got := w.log.String(); !strings.Contains(got, tt.says) || (tt.says == "") != (got == "") {
				t.Errorf("log lacks %s:\n%s", tt.says, got)
			}
			if again, _ := os.ReadFile(w.path("host/etc/cni/net.d/" + record.Name)); string(again) != string(before) {
				t.Errorf("record was %s, is %s", before, again)
			}
		})
	}
}

func TestWatchWritesNothingWithoutChanges(t *testing.T) {
	w := newWatched(t)
	w.look()
	before := w.inodes()
	for range 100 {
		w.clock = w.clock.Add(time.Minute)
		w.look()
	}
	if diff := cmp.Diff(before, w.inodes()); diff != "" {
		t.Errorf("inodes and times (-before +after):\n%s", diff)
	}
}

// TestWatchSpacesContestedRepairs overwrites the configuration after every repair for an hour.
func TestWatchSpacesContestedRepairs(t *testing.T) {
	w := newWatched(t)
	w.look()
	var repairs []time.Duration
	start, step := w.clock, pace(time.Second, 10)
	for w.clock.Before(start.Add(time.Hour)) {
		w.write("host/etc/cni/net.d/10-calico.conflist", `{"name": "rival", "plugins": [{"type": "bridge"}]}`)
		err := w.Round(t.Context())
		if err == nil {
			repairs = append(repairs, w.clock.Sub(start))
		} else if !errors.Is(err, watch.ErrContested) || !strings.Contains(err.Error(), "plugins bridge") {
			t.Fatalf("round = %v; want watch.ErrContested with the plugins of the file", err)
		}
		w.clock = w.clock.Add(step)
	}
	s := time.Second
	want := []time.Duration{
		0, 10 * s, 30 * s, 70 * s, 150 * s, 310 * s, 610 * s, 910 * s, 1210 * s, 1510 * s, 1810 * s, 2110 * s, 2410 * s,
		2710 * s, 3010 * s, 3310 * s,
	}
	if diff := cmp.Diff(want, repairs); diff != "" {
		t.Errorf("times of the repairs (-want +got):\n%s", diff)
	}
	w.clock = w.clock.Add(time.Hour)
	w.look()
	w.checkTree(installed)
}

func TestContestedPartDoesNotDelayOtherRepairs(t *testing.T) {
	w := newWatched(t)
	w.look()
	for range 2 {
		_ = os.Remove(w.path("host/etc/cni/net.d/10-calico.conflist"))
		_ = w.Round(t.Context())
	}
	_ = os.Remove(w.path("host/opt/cni/bin/calico"))
	_ = os.Remove(w.path("host/etc/cni/net.d/calico-kubeconfig"))
	if err := w.Round(t.Context()); !errors.Is(err, watch.ErrContested) {
		t.Errorf("round = %v; want watch.ErrContested", err)
	}
	w.checkTree(strings.Replace(installed, "-rw------- etc/cni/net.d/10-calico.conflist\n", "", 1))
}

// TestWatchRepairsTheConfigurationAfterTheBinaries checks that no configuration uses a missing plugin.
func TestWatchRepairsTheConfigurationAfterTheBinaries(t *testing.T) {
	w := newWatched(t)
	w.look()
	_ = os.Remove(w.path("host/etc/cni/net.d/10-calico.conflist"))
	_ = os.Remove(w.path("host/opt/cni/bin/calico"))
	_ = os.Mkdir(w.path("host/opt/cni/bin/calico"), 0o755)
	if err := w.Round(t.Context()); !errors.Is(err, safeopen.ErrNotRegular) {
		t.Errorf("round = %v; want ErrNotRegular", err)
	}
	if strings.Contains(w.tree(), "conflist") {
		t.Errorf("the configuration was written:\n%s", w.tree())
	}
	_ = os.Remove(w.path("host/opt/cni/bin/calico"))
	w.clock = w.clock.Add(time.Minute)
	w.look()
	w.checkTree(installed)
}

func TestWatchRenewsTheToken(t *testing.T) {
	for _, tt := range []struct {
		name  string
		event func(w *watched)
		want  int
	}{
		{"not before a quarter of its lifetime", func(w *watched) { w.clock = w.clock.Add(6*time.Hour - time.Second) }, 1},
		{"at a quarter of its lifetime", func(w *watched) { w.clock = w.clock.Add(6 * time.Hour) }, 2},
		{"after a suspension of days", func(w *watched) { w.clock = w.clock.Add(72 * time.Hour) }, 2},
		{"when the clock was set back", func(w *watched) { w.clock = w.clock.Add(-time.Hour) }, 2},
		{"not when the clock drifts back", func(w *watched) { w.clock = w.clock.Add(-time.Second) }, 1},
		{"when it is refused", func(w *watched) { w.authority.refuses = true; w.clock = w.clock.Add(10 * time.Minute) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t)
			w.look()
			w.look()
			tt.event(w)
			w.look()
			w.look()
			data, err := os.ReadFile(w.path("host/etc/cni/net.d/calico-kubeconfig"))
			if err != nil {
				t.Fatal(err)
			}
			if token := credentials.TokenOf(data); strings.Count(token, "t") != tt.want || w.authority.issued != tt.want {
				t.Errorf("token %q, %d issued; want number %d", token, w.authority.issued, tt.want)
			}
			w.checkTree(installed)
		})
	}
}

func TestTokenRefreshInterval(t *testing.T) {
	for text, after := range map[string]time.Duration{"90": 90 * time.Second, "2h": 2 * time.Hour, "0": 6 * time.Hour} {
		w := newWatched(t, func(h *host) { h.cfg.TokenRefresh = text })
		w.look()
		w.clock = w.clock.Add(after - time.Second)
		w.look()
		before := w.authority.issued
		w.clock = w.clock.Add(time.Second)
		w.look()
		if before != 1 || w.authority.issued != 2 {
			t.Errorf("CNI_TOKEN_REFRESH_INTERVAL %s: %d tokens before %s, %d after", text, before, after, w.authority.issued)
		}
	}
}

func TestWatchRenewsTheTokenInATemplate(t *testing.T) {
	w := newWatched(t, func(h *host) {
		h.cfg.NetworkConfig = `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, ` +
			`"t": "__SERVICEACCOUNT_TOKEN__"}]}`
	})
	w.look()
	w.clock = w.clock.Add(7 * time.Hour)
	w.look()
	w.look()
	if data, _ := os.ReadFile(w.path("host/etc/cni/net.d/10-calico.conflist")); !strings.Contains(string(data),
		`"opaque-tt"`) {
		t.Errorf("the configuration has an old token: %s", data)
	}
}

// TestNodeStaysReadyWhileTheOldTokenIsGood simulates an API server that is unavailable for hours.
func TestNodeStaysReadyWhileTheOldTokenIsGood(t *testing.T) {
	w := newWatched(t)
	w.look()
	w.authority.fails = errors.New("no route to the API server")
	half, step := w.clock.Add(12*time.Hour), pace(25*time.Second, 10)
	for w.clock = w.clock.Add(6 * time.Hour); w.clock.Before(half); w.clock = w.clock.Add(step) {
		w.look()
	}
	w.clock = half
	w.clock = w.clock.Add(time.Minute)
	if err := w.Round(t.Context()); !errors.Is(err, w.authority.fails) {
		t.Errorf("round = %v after half of the token's lifetime; want the reason", err)
	}
	w.authority.fails = nil
	w.clock = w.clock.Add(time.Minute)
	w.look()
}

func TestWatchReplacesARefusedTokenOncePerMinute(t *testing.T) {
	w := newWatched(t)
	w.look()
	for start, step := w.clock, pace(time.Second, 10); w.clock.Before(start.Add(time.Hour)); {
		w.authority.refuses = true
		_ = w.Round(t.Context())
		w.clock = w.clock.Add(step)
	}
	if w.authority.issued > 70 {
		t.Errorf("%d tokens in an hour", w.authority.issued)
	}
}

func TestWatchKeepsAdditionsToTheConfiguration(t *testing.T) {
	const withToken = `{"name": "net", "plugins": [
  {"type": "calico", "ipam": {"type": "calico-ipam"}, "t": "__SERVICEACCOUNT_TOKEN__"}
  ]
}
`
	for _, tt := range []struct {
		name, template string
		mode           os.FileMode
		stays          bool
	}{
		{"same mode", "", 0o600, true},
		{"readable by all", "", 0o644, true},
		{"writable by all", "", 0o666, false},
		{"with a token", withToken, 0o600, true},
		{"with a token, readable by all", withToken, 0o644, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t, func(h *host) { h.cfg.NetworkConfig = tt.template })
			w.look()
			path := w.path("host/etc/cni/net.d/10-calico.conflist")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			mesh := strings.Replace(string(data), "\n  ]\n", ",\n    {\"type\": \"istio-cni\"}\n  ]\n", 1)
			if err := os.WriteFile(path, []byte(mesh), 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Chmod(path, tt.mode)
			for range 5 {
				w.look()
			}
			if got, _ := os.ReadFile(path); (string(got) == mesh) != tt.stays {
				t.Errorf("configuration (-want +got):\n%s", cmp.Diff(mesh, string(got)))
			}
			if n := strings.Count(w.log.String(), "istio-cni"); n != 1 {
				t.Errorf("logged %d times; want once:\n%s", n, w.log.String())
			}
			if s, err := w.host.status(); tt.stays && (s.Network.State != hostfile.Extended || err != nil) {
				t.Errorf("status: %s, %v", s.Network.State, err)
			}
		})
	}
}

func TestWatchRetriesTheFirstInstallation(t *testing.T) {
	w := newWatched(t)
	w.authority.fails = errors.New("no route to the API server")
	for range 300 {
		if err := w.Round(t.Context()); !errors.Is(err, w.authority.fails) {
			t.Fatalf("round = %v; want the reason", err)
		}
		w.clock = w.clock.Add(time.Second)
	}
	if tried := w.authority.tried; tried < 5 || tried > 20 {
		t.Errorf("tried %d times in five minutes", tried)
	}
	w.checkTree("")
	w.authority.fails = nil
	w.clock = w.clock.Add(time.Minute)
	w.look()
	w.checkTree(installed)
}

func TestReadiness(t *testing.T) {
	w := newWatched(t)
	ask := func(code int, says string) {
		t.Helper()
		if got, body := w.get("/readyz"); got != code || !strings.Contains(body, says) {
			t.Errorf("%d %s; want %d %s", got, body, code, says)
		}
	}
	ask(503, "not installed yet")
	w.authority.fails = errors.New("no route to the API server")
	w.Report(w.Round(t.Context()))
	ask(503, "no route to the API server")
	w.authority.fails = nil
	w.clock = w.clock.Add(time.Minute)
	w.Report(w.Round(t.Context()))
	ask(200, "ready")
	for range 2 {
		_ = os.Remove(w.path("host/opt/cni/bin/calico"))
		w.Report(w.Round(t.Context()))
	}
	ask(503, "opt/cni/bin/calico is missing; next repair at 2036-01-01T00:01:10Z")
	w.clock = w.clock.Add(time.Minute)
	w.Report(w.Round(t.Context()))
	ask(200, "ready")
	w.clock = w.clock.Add(time.Hour)
	ask(503, "nothing was checked for 1h0m0s")
}

// TestWatchStops stops the watcher, as an upgrade does.
func TestWatchStops(t *testing.T) {
	for _, tt := range []struct {
		cleanup bool
		want    string
	}{{false, installed}, {true, ""}} {
		w := newWatched(t,
			func(h *host) { h.cfg.Watch, h.cfg.CleanupOnExit, h.cfg.HealthAddr = true, tt.cleanup, "127.0.0.1:0" })
		ctx, stop := context.WithCancel(t.Context())
		wake := make(chan struct{})
		deps := w.deps(w.authority, w.now)
		deps.Wake = wake
		done := make(chan error)
		go func() { done <- Run(ctx, w.cfg, deps) }()
		wake <- struct{}{}
		wake <- struct{}{}
		w.checkTree(installed)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v after the signal", err)
		}
		w.checkTree(tt.want)
	}
}

func TestWatchDoesNotRetryAnInvalidConfiguration(t *testing.T) {
	w := newWatched(t, func(h *host) { h.cfg.Watch, h.cfg.NetworkConfig = true, "{}" })
	if err := Run(t.Context(), w.cfg, w.deps(w.authority, w.now)); ExitCode(err) != ExitConfig {
		t.Errorf("Run = %v, exit code %d", err, ExitCode(err))
	}
	w.checkTree("")
}

// TestWatchInstallsAlthoughItsAddressIsInUse checks that the installation does not depend on the readiness endpoint.
func TestWatchInstallsAlthoughItsAddressIsInUse(t *testing.T) {
	other := httptest.NewServer(nil)
	defer other.Close()
	w := newWatched(t, func(h *host) { h.cfg.Watch, h.cfg.HealthAddr = true, other.Listener.Addr().String() })
	if err := Run(t.Context(), w.cfg, w.deps(w.authority, w.now)); ExitCode(err) != ExitFailed ||
		!strings.Contains(err.Error(), "HEALTH_ADDR") {
		t.Errorf("Run = %v; want it to name HEALTH_ADDR", err)
	}
	w.checkTree(installed)
}

func TestWatchNeedsABinaryDirectory(t *testing.T) {
	w := newWatched(t)
	w.look()
	_ = os.RemoveAll(w.path("host/opt/cni/bin"))
	if err := w.Round(t.Context()); !errors.Is(err, binaries.ErrMissing) {
		t.Errorf("round = %v; want binaries.ErrMissing", err)
	}
	_ = os.Mkdir(w.path("host/opt/cni/bin"), 0o755)
	w.clock = w.clock.Add(time.Minute)
	w.look()
	w.checkTree(installed)
}

// TestWatchAcceptsAReadOnlyDirectoryWithTheBinaries uses binaries that are part of the node image.
func TestWatchAcceptsAReadOnlyDirectoryWithTheBinaries(t *testing.T) {
	w := newWatched(t, func(h *host) {
		h.mount("size=64m", syscall.MS_RDONLY, func(dir string) {
			h.put(dir+"/calico", "v1")
			h.put(dir+"/calico-ipam", "v1")
			h.put(dir+"/portmap", "portmap")
		})
	})
	for range 3 {
		w.look()
	}
	w.checkTree(installed)
}

func TestWatchRenewsTheTokenWithoutAValidConfiguration(t *testing.T) {
	w := newWatched(t, func(h *host) {
		chaining(h)
	})
	w.look()
	_ = os.Remove(w.path(chainFile))
	_ = os.Remove(w.path("host/opt/cni/bin/calico"))
	w.clock = w.clock.Add(7 * time.Hour)
	err := w.Round(t.Context())
	if err == nil || w.authority.issued != 2 || !strings.Contains(w.tree(), "bin/calico v1") {
		t.Errorf("round = %v, %d tokens\n%s", err, w.authority.issued, w.tree())
	}
}
