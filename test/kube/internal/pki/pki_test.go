// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	addrs = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("fd00::1")}
	names = []string{"kubernetes.default.svc"}
)

func TestCertificatesAreSignedByCA(t *testing.T) {
	now := time.Now()
	f := mustEnsure(t, t.TempDir(), now)
	for _, host := range []string{"127.0.0.1", "fd00::1", "kubernetes.default.svc"} {
		verify(t, f, f.Cert, f.Key, x509.VerifyOptions{DNSName: host, CurrentTime: now})
	}
	admin := verify(t, f, f.AdminCert, f.AdminKey, x509.VerifyOptions{
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: now,
	})
	if got := admin.Subject.String(); got != "CN=admin,O=system:masters" {
		t.Errorf("administrator is %s", got)
	}
}

func TestEnsureKeepsCAAndServiceAccountKey(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	f := mustEnsure(t, dir, now)
	ca, key, cert := read(t, f.CA), read(t, f.ServiceAccountKey), read(t, f.Cert)
	f = mustEnsure(t, dir, now)
	if read(t, f.CA) != ca || read(t, f.ServiceAccountKey) != key {
		t.Error("the CA or the service account key has changed")
	}
	if read(t, f.Cert) == cert {
		t.Error("the certificate of the server is not renewed")
	}
	verify(t, f, f.Cert, f.Key, x509.VerifyOptions{DNSName: "127.0.0.1", CurrentTime: now})
}

func TestEnsureCreatesAnyMissingFile(t *testing.T) {
	complete := t.TempDir()
	mustEnsure(t, complete, time.Now())
	entries, err := os.ReadDir(complete)
	if err != nil {
		t.Fatal(err)
	}
	// Ensure writes ca.key before ca.crt, so that a kill never leaves only ca.crt.
	for _, missing := range entries {
		if missing.Name() == "ca.key" {
			continue
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(complete)); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, missing.Name())); err != nil {
			t.Fatal(err)
		}
		f := mustEnsure(t, dir, time.Now())
		verify(t, f, f.Cert, f.Key, x509.VerifyOptions{DNSName: "127.0.0.1"})
	}
}

func TestEnsureRejectsInvalidOrMismatchedFiles(t *testing.T) {
	for name, content := range map[string]string{
		"ca.crt": "no PEM",
		"ca.key": read(t, mustEnsure(t, t.TempDir(), time.Now()).ServiceAccountKey),
		"sa.key": "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
	} {
		dir := t.TempDir()
		mustEnsure(t, dir, time.Now())
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Ensure(dir, addrs, names, time.Now()); err == nil || !strings.Contains(err.Error(), "and start again") {
			t.Errorf("%s: error is %v, want one with a remedy", name, err)
		}
	}
}

func mustEnsure(t *testing.T, dir string, now time.Time) Files {
	t.Helper()
	f, err := Ensure(dir, addrs, names, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// verify checks that the key belongs to the certificate and that the CA has signed it.
func verify(t *testing.T, f Files, cert, key string, options x509.VerifyOptions) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	options.Roots = x509.NewCertPool()
	options.Roots.AppendCertsFromPEM([]byte(read(t, f.CA)))
	if _, err := pair.Leaf.Verify(options); err != nil {
		t.Errorf("verify %s: %v", filepath.Base(cert), err)
	}
	return pair.Leaf
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
