// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestFilesOfCredentialsMustBeRegular hangs if a FIFO is opened like a file.
func TestFilesOfCredentialsMustBeRegular(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	link := fifo + ".link"
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.Symlink(fifo, link)); err != nil {
		t.Fatal(err)
	}
	const token = "token: t"
	for _, path := range []string{fifo, link} {
		for field, user := range map[string]string{
			"tokenFile":             fmt.Sprintf("tokenFile: %q", path),
			"client-certificate":    fmt.Sprintf("client-certificate: %q, client-key-data: aGVsbG8=", path),
			"client-key":            fmt.Sprintf("client-certificate-data: aGVsbG8=, client-key: %q", path),
			"certificate-authority": token,
		} {
			cluster := "server: https://10.96.0.1"
			if field == "certificate-authority" {
				cluster += fmt.Sprintf(", certificate-authority: %q", path)
			}
			_, err := Load(write(t, kubeconfig(cluster, user)), "test")
			wantSpecialFile(t, err, field+" "+path+": is a FIFO, want a regular file")
		}
		_, err := Load(path, "test")
		wantSpecialFile(t, err, path+": is a FIFO, want a regular file")
	}
}

func wantSpecialFile(t *testing.T, err error, part string) {
	t.Helper()
	if !errors.Is(err, ErrKubeconfig) || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want ErrKubeconfig with %q", err, part)
	}
}

// TestTokenFileMayBeALink follows the links of a projected volume: token -> ..data/token, ..data -> ..2026_01_01.
func TestTokenFileMayBeALink(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "..2026_01_01"), 0o755),
		os.WriteFile(filepath.Join(dir, "..2026_01_01", "token"), []byte("t"), 0o600),
		os.Symlink("..2026_01_01", filepath.Join(dir, "..data")),
		os.Symlink("..data/token", token),
		os.Lchown(token, 12345, 12345),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(write(t, kubeconfig("server: https://10.96.0.1", "tokenFile: "+token)), "test"); err != nil {
		t.Error(err)
	}
}

// TestTokenFileThatBecomesSpecialKeepsTheToken hangs if a FIFO is opened like a file.
func TestTokenFileThatBecomesSpecialKeepsTheToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	id, err := identify(user{TokenFile: path}, cluster{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := id.bearer(); got != "first" {
		t.Errorf("token %q, want the last valid one", got)
	}
}
