package install

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const secret = "eyJhbGciOi.secret.c2lnbmF0dXJl"

// built are the binaries that the tests install, by name; main fills it.
var built = map[string][]byte{}

func TestMain(m *testing.M) {
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// build builds the plugins: two good ones that differ, one that fails, one that knows old versions only.
func build() error {
	dir, err := os.MkdirTemp("", "install-test")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, versions := range map[string]string{"v1": `["1.0.0"]`, "v2": `["1.0.0","1.1.0"]`, "failing": "", "old": `["0.1.0"]`} {
		path := filepath.Join(dir, name)
		cmd := exec.Command("go", "build", "-ldflags=-s -w -X main.versions="+versions, "-o", path, "./testdata/plugin")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build plugin: %w: %s", err, out)
		}
		if built[name], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	built["portmap"] = []byte("no program at all")
	return nil
}

// host is a node to install on, in directories of the test.
type host struct {
	t    *testing.T
	root string
	cfg  Config
	log  bytes.Buffer
	out  bytes.Buffer
}

// tokens is a TokenSource whose API server takes every token.
type tokens func() (string, error)

func (f tokens) Accepted(context.Context, string) error { return nil }

func (f tokens) Token(context.Context, string) (string, time.Time, error) {
	token, err := f()
	return token, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), err
}

func issue() (string, error) { return secret, nil }

// newHost has calico, calico-ipam (both v1), portmap and install in the image, and nothing on the host.
func newHost(t *testing.T) *host {
	t.Helper()
	root := t.TempDir()
	h := &host{t: t, root: root}
	for _, dir := range []string{"image", "sa", "host/opt/cni/bin", "host/etc/cni/net.d"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	h.put("image/calico", "v1")
	h.put("image/calico-ipam", "v1")
	h.put("image/portmap", "portmap")
	h.write("image/install", "this very program")
	h.write("sa/ca.crt", certificate(t))
	h.write("sa/namespace", "kube-system\n")
	cfg, err := Parse([]string{
		"--host-root", h.path("host"), "--bin-source", h.path("image"), "--service-account-dir", h.path("sa"), "--sleep=false",
		"--kubernetes-service-host=10.96.0.1", "--node-name=worker-1",
	}, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	h.cfg = cfg
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.root, name) }

// put puts one of the built binaries somewhere.
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
	return Run(ctx, h.cfg, Deps{
		Tokens: source, Hostname: func() (string, error) { return "Worker-Host\n", nil }, Now: time.Now,
		LinkMTU: func() (int, error) { return 9000, nil }, Spread: func() float64 { return 0.5 },
		Out: &h.out, Log: slog.New(slog.NewTextHandler(&h.log, nil)),
	})
}

func (h *host) mustInstall() {
	h.t.Helper()
	if err := h.install(); err != nil {
		h.t.Fatal(err)
	}
}

// tree lists the host's files but the record: mode, name, and for binaries which one it is.
func (h *host) tree() string {
	h.t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(h.path("host"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == recordName {
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

// installed is the host after a first installation.
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
