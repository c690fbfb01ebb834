// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// site is a separate host for installations. It uses the API server of the node.
type site struct {
	t    *testing.T
	root string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t, t.TempDir()}
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d", "var/lib/calico"} {
		must(t, os.MkdirAll(s.path(dir), 0o755))
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.root, name) }

// installer returns the installer for this host, with arguments and settings "NAME=value".
func (s *site) installer(args []string, settings ...string) *exec.Cmd {
	s.t.Helper()
	cmd, err := n.Installer(s.t.Context(),
		append([]string{"CNI_HOST_ROOT=" + s.root, "CNI_NET_DIR=" + s.path("etc/cni/net.d")}, settings...)...)
	must(s.t, err)
	cmd.Args = append(cmd.Args, args...)
	return cmd
}

// run runs an installer until it exits.
func (s *site) run(args []string, settings ...string) (exit int, stdout, log string) {
	s.t.Helper()
	cmd := s.installer(args, settings...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errors.String()
}

// watcher is an installer that watches until its test ends.
type watcher struct {
	*site
	cmd *exec.Cmd
	log string
	url string
}

func (s *site) watch(settings ...string) *watcher {
	s.t.Helper()
	w := &watcher{site: s, log: filepath.Join(s.t.TempDir(), "log"), url: "http://127.0.0.1:9097/readyz"}
	w.cmd = s.installer([]string{"--watch"}, append([]string{"HEALTH_ADDR=127.0.0.1:9097"}, settings...)...)
	log, err := os.Create(w.log)
	must(s.t, err)
	defer func() { _ = log.Close() }()
	w.cmd.Stderr = log
	must(s.t, w.cmd.Start())
	s.t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	})
	w.eventually("it is ready", w.ready)
	return w
}

// eventually waits for a condition. It fails the test with the log if the condition stays false.
func (w *watcher) eventually(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(90 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			log, _ := os.ReadFile(w.log)
			w.t.Fatalf("never: %s\n%s", what, log)
		}
	}
}

func (w *watcher) ready() bool {
	code, _ := w.ask()
	return code == http.StatusOK
}

func (w *watcher) ask() (code int, body string) {
	answer, err := http.Get(w.url)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	data, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(data)
}

// stop sends the signal of a kubelet and returns the exit code.
func (w *watcher) stop() int {
	w.t.Helper()
	must(w.t, w.cmd.Process.Signal(syscall.SIGTERM))
	_ = w.cmd.Wait()
	return w.cmd.ProcessState.ExitCode()
}

func (s *site) token() string {
	config, err := clientcmd.LoadFromFile(s.path("etc/cni/net.d/calico-kubeconfig"))
	if err != nil || config.AuthInfos["calico"] == nil {
		return ""
	}
	return config.AuthInfos["calico"].Token
}

// works reports whether the API server accepts the plugins' token.
func (s *site) works() bool {
	config, err := clientcmd.BuildConfigFromFlags("", s.path("etc/cni/net.d/calico-kubeconfig"))
	if err != nil {
		return false
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false
	}
	_, err = client.CoreV1().Namespaces().Get(s.t.Context(), "default", metav1.GetOptions{})
	return err == nil
}

func TestWatchingInstallerRepairsNode(t *testing.T) {
	installed(t)
	s := newSite(t)
	w := s.watch("NODE_FILES=true")
	for _, name := range []string{
		"opt/cni/bin/calico", "etc/cni/net.d/calico-kubeconfig",
		"etc/cni/net.d/10-calico.conflist", "var/lib/calico/nodename",
	} {
		before, err := os.ReadFile(s.path(name))
		must(t, err)
		must(t, os.Remove(s.path(name)))
		w.eventually(name+" is there again", func() bool {
			now, err := os.ReadFile(s.path(name))
			return err == nil && bytes.Equal(now, before)
		})
	}
	w.eventually("it is ready again", w.ready)
	if code := w.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if exit, out, log := s.run([]string{"status"}); exit != 0 || !s.works() {
		t.Errorf("status: exit code %d, token works: %v\n%s%s", exit, s.works(), out, log)
	}
}

// TestRejectedTokenIsReplaced deletes and re-creates the service account.
func TestRejectedTokenIsReplaced(t *testing.T) {
	s := newSite(t)
	s.onThisNode()
	pod := newPod(t, "refused")
	w := s.watch()
	old := s.token()
	accounts := n.Server.Client().CoreV1().ServiceAccounts("kube-system")
	must(t, accounts.Delete(t.Context(), "calico-cni-plugin", metav1.DeleteOptions{}))
	_, err := accounts.Create(t.Context(),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "calico-cni-plugin"}}, metav1.CreateOptions{})
	must(t, err)
	defer func() {
		// The token of the other tests also belonged to that account.
		_, err := n.Install(withoutCancel(t.Context()), "CNI_ASSIGN_IPV6=true")
		must(t, err)
	}()
	// The watcher would check within half a minute. A rejected plugin makes it check at once.
	named := map[string]any{"name": "refused", "kubernetes.kubeconfig": s.path("etc/cni/net.d/calico-kubeconfig")}
	begun := time.Now()
	defer func() { expectOK(t, "DEL", call(t, "DEL", pod, named)) }()
	w.eventually("a plugin is refused, or has a new token", func() bool {
		// The API server may accept the old token for some seconds more. The ADD then succeeds, and is repeated.
		a := call(t, "ADD", pod, named)
		return a.Exit != 0 && strings.Contains(a.Error.Msg, "credentials refused") || s.token() != old
	})
	w.eventually("there is a new token, and it works", func() bool { return s.token() != old && s.works() })
	t.Logf("after %s", time.Since(begun))
	log, err := os.ReadFile(w.log)
	must(t, err)
	if !strings.Contains(string(log), "refuses the token") || strings.Contains(string(log), old) ||
		strings.Contains(string(log), s.token()) {
		t.Errorf("want the reason, and no token:\n%s", log)
	}
}

func TestTokensAreRenewedWithRenewedServiceAccountToken(t *testing.T) {
	installed(t)
	s := newSite(t)
	w := s.watch("CNI_TOKEN_REFRESH_INTERVAL=2s")
	own := "/run/secrets/kubernetes.io/serviceaccount/token"
	good, err := os.ReadFile(own)
	must(t, err)
	must(t, os.WriteFile(own, []byte("expired"), 0o600))
	w.eventually("renewal fails", func() bool {
		log, _ := os.ReadFile(w.log)
		return strings.Contains(string(log), "token is not renewed")
	})
	old := s.token()
	if !w.ready() || !s.works() {
		t.Error("the node is not ready although its token is valid for hours")
	}
	must(t, os.WriteFile(own, good, 0o600))
	w.eventually("the token is renewed", func() bool { return s.token() != old && s.works() })
}

func TestReadinessReportsOtherConfiguration(t *testing.T) {
	installed(t)
	s := newSite(t)
	w := s.watch()
	path := s.path("etc/cni/net.d/10-calico.conflist")
	w.eventually("it is not ready, and says why", func() bool {
		must(t, os.WriteFile(path, []byte(`{"name": "rival", "cniVersion": "1.0.0", "plugins": [{"type": "bridge"}]}`),
			0o600))
		code, body := w.ask()
		return code == http.StatusServiceUnavailable && strings.Contains(body, `network "rival" of plugins bridge`)
	})
	w.eventually("it is ready again", w.ready)
}

func TestCleanupOnExit(t *testing.T) {
	installed(t)
	s := newSite(t)
	w := s.watch("CLEANUP_ON_EXIT=true", "NODE_FILES=true")
	if code := w.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := s.files(); got != "" {
		t.Errorf("left:\n%s", got)
	}
}

// files lists the files of the host, one per line.
func (s *site) files() string {
	var out strings.Builder
	must(s.t, filepath.WalkDir(s.root, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(s.root, path)
			fmt.Fprintln(&out, name)
		}
		return err
	}))
	return out.String()
}

// onThisNode makes the site's watcher use the state directories of the node.
func (s *site) onThisNode() {
	s.t.Helper()
	for _, dir := range []string{"var/lib/calico/cni", "var/run/calico/cni"} {
		must(s.t, os.MkdirAll("/"+dir, 0o755))
		must(s.t, os.MkdirAll(filepath.Dir(s.path(dir)), 0o755))
		must(s.t, os.Symlink("/"+dir, s.path(dir)))
	}
}

// TestWatchingInstallerSettlesReleases makes the API server available again after the last command of the runtime, with
// a configuration whose version has no STATUS.
func TestWatchingInstallerSettlesReleases(t *testing.T) {
	s := newSite(t)
	s.onThisNode()
	p := newPod(t, "quiet")
	w := s.watch()
	before := state(t)
	named := map[string]any{
		"name": "quiet", "kubernetes.kubeconfig": s.path("etc/cni/net.d/calico-kubeconfig"),
		"cniVersion": "1.0.0",
	}
	attach(t, "calico", p, named)
	lock(t)
	expectOK(t, "DEL", ask(t, "calico", "DEL", p, named))
	expectWaiting(t, "after the DEL", 1)
	unlock(t)
	w.eventually("the release is settled", func() bool {
		delayHasPassed(t, nil)
		return len(waiting(t)) == 0
	})
	expectSame(t, "all of it", withoutPod(p.Name)(before), withoutPod(p.Name)(state(t)))
	w.url = "http://127.0.0.1:9097/metrics"
	w.eventually("the metrics say so", func() bool {
		_, body := w.ask()
		return strings.Contains(body, "\ncalico_cni_install_pending_releases 0\n") &&
			strings.Contains(body, "\ncalico_cni_install_ready 1\n")
	})
}
