// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/record"
	"calico-cni/pkg/install/watch"
)

const secret = "eyJhbGciOi.secret.c2lnbmF0dXJl"

// built has the binaries that the tests install, by name: two valid plugins that differ, one that fails, one that
// supports old versions only, and a file that is not a program.
var built = map[string][]byte{
	"v1": plugin(`["1.0.0"]`), "v2": plugin(`["1.0.0","1.1.0"]`), "old": plugin(`["0.1.0"]`),
	"failing": []byte("#!/bin/sh\necho 'segment 7 is missing' >&2\nexit 1\n"),
	"portmap": []byte("not a program"),
}

// plugin returns a plugin that answers VERSION with a list of versions in JSON.
func plugin(versions string) []byte {
	const script = `#!/bin/sh
[ "$CNI_COMMAND" = VERSION ] && echo '{"cniVersion": "1.0.0", "supportedVersions": %s}'
`
	return fmt.Appendf(nil, script, versions)
}

// host is a node to install on, in a directory of the test.
type host struct {
	t    *testing.T
	root string
	cfg  config.Config
	// served is what the API server serves.
	served served
	// backlog may be nil.
	backlog watch.Backlog
	log     bytes.Buffer
	out     bytes.Buffer
}

// tokens is an Issuer whose API server accepts every token.
type tokens func() (string, error)

func (f tokens) Accepted(context.Context, string) error { return nil }

func (f tokens) Token(context.Context, string) (string, time.Time, error) {
	token, err := f()
	return token, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), err
}

// served is what the API server of a host serves.
type served struct {
	groups apigroup.Served
	err    error
	asked  int
}

func (s *served) Served(context.Context) (apigroup.Served, error) {
	s.asked++
	return s.groups, s.err
}

func issue() (string, error) { return secret, nil }

// newHost has calico, calico-ipam (both v1), portmap and install in the image, and nothing on the host.
func newHost(t *testing.T) *host {
	t.Helper()
	root := t.TempDir()
	h := &host{t: t, root: root, served: served{groups: apigroup.Served{V1: true}}}
	for _, dir := range []string{"image", "sa", "host/opt/cni/bin", "host/etc/cni/net.d"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.put("image/calico", "v1")
	h.put("image/calico-ipam", "v1")
	h.put("image/portmap", "portmap")
	h.write("image/install", "this program")
	h.write("sa/ca.crt", certificate(t))
	h.write("sa/namespace", "kube-system\n")
	cfg, err := config.Parse([]string{
		"--host-root", h.path("host"), "--bin-source", h.path("image"), "--service-account-dir", h.path("sa"),
		"--sleep=false", "--kubernetes-service-host=10.96.0.1", "--node-name=worker-1",
	}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	h.cfg = cfg
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

// put writes one of the built binaries.
func (h *host) put(name, binary string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), built[binary], 0o755); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) write(name, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) install() error { return h.installWith(h.t.Context(), issue) }

func (h *host) installWith(ctx context.Context, source tokens) error {
	return Run(ctx, h.cfg, h.deps(source, time.Now))
}

// deps returns the effects of an installation with a clock.
func (h *host) deps(tokens credentials.Issuer, now func() time.Time) Deps {
	return Deps{
		Group: &apigroup.Choice{
			Configured: h.cfg.APIGroup, Server: &h.served, Interval: 5 * time.Minute, Now: now,
			Troubled: nodestate.Conditions(h.cfg.Layout().ConditionsDir()).APIUnavailable,
			Log:      slog.New(slog.NewTextHandler(&h.log, nil)),
		},
		Tokens: tokens, Backlog: h.backlog, Hostname: func() (string, error) { return "Worker-Host\n", nil }, Now: now,
		LinkMTU: func() (int, error) { return 9000, nil }, Spread: func() float64 { return 0.5 },
		Out: &h.out, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	}
}

func (h *host) mustInstall() {
	h.t.Helper()
	if err := h.install(); err != nil {
		h.t.Fatal(err)
	}
}

// tree lists the host's files but the record: mode, name, and the built binary that it holds.
func (h *host) tree() string {
	h.t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(h.path("host"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == record.Name {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(h.path("host"), path)
		fmt.Fprintf(&out, "%s %s%s\n", info.Mode(), name, which(path, info))
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out.String()
}

func which(path string, info fs.FileInfo) string {
	if !info.Mode().IsRegular() {
		return ""
	}
	data, _ := os.ReadFile(path)
	for name, binary := range built {
		if bytes.Equal(data, binary) {
			return " " + name
		}
	}
	return ""
}

func (h *host) checkTree(want string) {
	h.t.Helper()
	if diff := cmp.Diff(want, h.tree()); diff != "" {
		h.t.Errorf("files of the host (-want +got):\n%s", diff)
	}
}

// installed is the tree after an installation.
const installed = `-rw------- etc/cni/net.d/10-calico.conflist
-rw------- etc/cni/net.d/calico-kubeconfig
-rwxr-xr-x opt/cni/bin/calico v1
-rwxr-xr-x opt/cni/bin/calico-ipam v1
-rwxr-xr-x opt/cni/bin/portmap portmap
`

// certificate returns a self-signed one in PEM.
func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// checkConfigFault checks that an error is one of the configuration, and contains the texts.
func checkConfigFault(t *testing.T, err error, want ...string) {
	t.Helper()
	if !errors.Is(err, fault.ErrConfig) || ExitCode(err) != ExitConfig {
		t.Errorf("error %v, exit code %d; want ErrConfig", err, ExitCode(err))
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error lacks %s:\n%v", w, err)
		}
	}
}

// jwt returns a token that contains its validity.
func jwt(from, to time.Time) string {
	claims := fmt.Appendf(nil, `{"iat": %d, "exp": %d}`, from.Unix(), to.Unix())
	return "e30." + base64.RawURLEncoding.EncodeToString(claims) + ".c2ln"
}
