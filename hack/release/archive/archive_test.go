// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// list lists an archive, one entry per line.
func list(t *testing.T, data []byte) string {
	t.Helper()
	var out strings.Builder
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%v %d:%d %s %d %s\n", h.FileInfo().Mode(), h.Uid, h.Gid, h.Name, h.ModTime.Unix(), content)
	}
}

func TestArchiveDependsOnlyOnEntries(t *testing.T) {
	files := []File{{"opt/bin/b", []byte("2"), true}, {"opt/a", []byte("1"), false}, {"opt/bin/a", nil, true}}
	date := time.Unix(1700000000, 999)
	got, err := Tar(files, date)
	if err != nil {
		t.Fatal(err)
	}
	want := `drwxr-xr-x 0:0 opt/ 1700000000 
-rw-r--r-- 0:0 opt/a 1700000000 1
drwxr-xr-x 0:0 opt/bin/ 1700000000 
-rwxr-xr-x 0:0 opt/bin/a 1700000000 
-rwxr-xr-x 0:0 opt/bin/b 1700000000 2
`
	if diff := cmp.Diff(want, list(t, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	slices.Reverse(files)
	again, err := Tar(files, date.In(time.FixedZone("far", 3600)))
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("in another order and time zone it differs (%v)", err)
	}
}

func TestGzipKeepsBytesAndAddsNoName(t *testing.T) {
	data := []byte(strings.Repeat("calico", 1000))
	packed, err := Gzip(data)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, data) || len(packed) > len(data)/10 || r.Name != "" || !r.ModTime.IsZero() {
		t.Errorf("%d bytes of %d, name %q, time %v, %v", len(packed), len(data), r.Name, r.ModTime, err)
	}
}

func TestDirKeepsOnlyExecutableMode(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"tool": 0o700, "text": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Dir(dir, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]File{{"v1/text", []byte("text"), false}, {"v1/tool", []byte("tool"), true}},
		got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
