// SPDX-License-Identifier: Apache-2.0

// Package release_test runs the release commands on this tree and on a copy of it, for the platform of the tests.
package release_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const (
	version = "v9.8.7"
	date    = "1700000000"
)

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// command runs one of the commands on a tree.
func command(t *testing.T, name, root string, args ...string) {
	t.Helper()
	args = append([]string{
		"run", "./cmd/" + name, "-root", root, "-version", version, "-date", date, "-platforms",
		"linux/" + runtime.GOARCH,
	}, args...)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// elsewhere copies this tree's sources into another directory, without the history.
func elsewhere(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "another", "tree")
	for _, part := range []string{
		"go.mod", "go.sum", "LICENSE", "cmd", "pkg", "internal", "conflist", "test/go.mod",
		"test/go.sum",
	} {
		from, to := filepath.Join("..", "..", part), filepath.Join(dir, part)
		info := must(os.Stat(from))(t)
		if info.IsDir() {
			must(0, os.CopyFS(to, os.DirFS(from)))(t)
			continue
		}
		must(0, os.MkdirAll(filepath.Dir(to), 0o755))(t)
		must(0, os.WriteFile(to, must(os.ReadFile(from))(t), 0o644))(t)
	}
	return dir
}

// unpack extracts an archive into a new directory and lists its entries with their modes.
func unpack(t *testing.T, r io.Reader) (dir string, entries []string) {
	t.Helper()
	dir = t.TempDir()
	for r := tar.NewReader(r); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir, entries
		}
		must(0, err)(t)
		entries = append(entries, fmt.Sprintf("%v %d:%d %d %s", h.FileInfo().Mode(), h.Uid, h.Gid, h.ModTime.Unix(),
			h.Name))
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(0, os.MkdirAll(path, 0o755))(t)
			continue
		}
		must(0, os.MkdirAll(filepath.Dir(path), 0o755))(t)
		must(0, os.WriteFile(path, must(io.ReadAll(r))(t), h.FileInfo().Mode()))(t)
	}
}

func TestImageIsReproducibleAndItsBinariesWork(t *testing.T) {
	dir := t.TempDir()
	file, again := filepath.Join(dir, "image.tar"), filepath.Join(dir, "again.tar")
	command(t, "image", filepath.Join("..", ".."), "-out", file)
	command(t, "image", elsewhere(t), "-out", again)
	data := must(os.ReadFile(file))(t)
	if !bytes.Equal(data, must(os.ReadFile(again))(t)) {
		t.Error("the image built from a copy of the tree differs")
	}
	t.Logf("image for one platform: %d bytes", len(data))

	image := theImage(t, data)
	files := mutate.Extract(image)
	defer files.Close()
	root, entries := unpack(t, files)
	want := []string{"drwxr-xr-x 0:0 " + date + " opt/", "drwxr-xr-x 0:0 " + date + " opt/cni/", "drwxr-xr-x 0:0 " +
		date + " opt/cni/bin/"}
	names := []string{"bandwidth", "calico", "calico-ipam", "host-local", "install", "loopback", "portmap", "tuning"}
	for _, name := range names {
		want = append(want, "-rwxr-xr-x 0:0 "+date+" opt/cni/bin/"+name)
	}
	for i := range entries {
		entries[i] = strings.TrimSuffix(entries[i], "/")
	}
	for i := range want {
		want[i] = strings.TrimSuffix(want[i], "/")
	}
	entries = slices.DeleteFunc(entries, func(entry string) bool { return strings.Contains(entry, " licenses") })
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Errorf("files of the image (-want +got):\n%s", diff)
	}
	for _, name := range names {
		wantLicenses(t, filepath.Join(root, "opt/cni/bin", name), filepath.Join(root, "licenses"))
	}
	host := installFrom(t, filepath.Join(root, "opt/cni/bin"))
	for _, name := range names {
		if name == "install" {
			continue
		}
		var answer struct{ SupportedVersions []string }
		must(0, json.Unmarshal(askVersion(t, filepath.Join(host, name)), &answer))(t)
		if !slices.Contains(answer.SupportedVersions, "1.0.0") {
			t.Errorf("%s supports %v", name, answer.SupportedVersions)
		}
	}
}

// wantLicenses checks that every module linked into a binary has a licence.
func wantLicenses(t *testing.T, binary, dir string) {
	t.Helper()
	info := must(buildinfo.ReadFile(binary))(t)
	paths := []string{"third_party/std@" + info.GoVersion}
	for _, m := range info.Deps {
		paths = append(paths, "third_party/"+m.Path+"@"+m.Version)
	}
	if len(paths) < 2 {
		t.Errorf("%s has no modules", binary)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "LICENSE")); err != nil || len(data) == 0 {
		t.Errorf("the project's own licence: %v", err)
	}
	for _, path := range paths {
		if entries, err := os.ReadDir(filepath.Join(dir, path)); err != nil || len(entries) == 0 {
			t.Errorf("%s: no licence of %s: %v", filepath.Base(binary), path, err)
		}
	}
}

// theImage loads the single image of an OCI archive and checks its digests.
func theImage(t *testing.T, data []byte) v1.Image {
	t.Helper()
	dir, _ := unpack(t, bytes.NewReader(data))
	index := must(layout.ImageIndexFromPath(dir))(t)
	manifest := must(index.IndexManifest())(t)
	if len(manifest.Manifests) != 1 {
		t.Fatalf("%d images, want one", len(manifest.Manifests))
	}
	image := must(index.Image(manifest.Manifests[0].Digest))(t)
	must(0, validate.Image(image))(t)
	return image
}

// installFrom runs the image's install as in its container, on a host with an API server that issues tokens. It returns
// the host's plugin directory.
func installFrom(t *testing.T, bin string) string {
	t.Helper()
	host := t.TempDir()
	for _, dir := range []string{"opt/cni/bin", "etc/cni/net.d"} {
		must(0, os.MkdirAll(filepath.Join(host, dir), 0o755))(t)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/apis" {
			_, _ = io.WriteString(w, `{"kind": "APIGroupList", "apiVersion": "v1", "groups": [{"name": "projectcalico.org",
				"versions": [{"groupVersion": "projectcalico.org/v3", "version": "v3"}]}]}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
			"status": {"token": "T", "expirationTimestamp": "2030-01-02T03:04:05Z"}}`)
	}))
	defer server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Appendf(nil, `{"current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {}}]}`, server.URL)
	must(0, os.WriteFile(kubeconfig, text, 0o600))(t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "install"))
	cmd.Env = []string{
		"CNI_HOST_ROOT=" + host, "CNI_BIN_SOURCE=" + bin, "KUBERNETES_SERVICE_HOST=127.0.0.1",
		"KUBERNETES_SERVICE_PORT=1",
		"KUBERNETES_NODE_NAME=worker-1", "SLEEP=false", "SKIP_TLS_VERIFY=true", "KUBECONFIG=" + kubeconfig,
		"CNI_NAMESPACE=kube-system",
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	return filepath.Join(host, "opt/cni/bin")
}

func askVersion(t *testing.T, path string) []byte {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), path)
	cmd.Env, cmd.Stdin = []string{"CNI_COMMAND=VERSION"}, strings.NewReader(`{"cniVersion": "1.0.0"}`)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s VERSION: %v: %s", filepath.Base(path), err, out)
	}
	return out
}

func TestReleaseIsReproducibleAndListsItsModules(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	command(t, "release", filepath.Join("..", ".."), "-out", one)
	command(t, "release", elsewhere(t), "-out", two)
	name := "calico-cni-" + version + "-linux-" + runtime.GOARCH
	var got []string
	for _, entry := range must(os.ReadDir(one))(t) {
		got = append(got, entry.Name())
		if !bytes.Equal(must(os.ReadFile(filepath.Join(one, entry.Name())))(t),
			must(os.ReadFile(filepath.Join(two, entry.Name())))(t)) {
			t.Errorf("%s built from a copy of the tree differs", entry.Name())
		}
	}
	if diff := cmp.Diff([]string{name + ".cdx.json", name + ".tar.gz", "calico-cni-" + version + "-sha256sums.txt"},
		got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	sums := exec.Command("sha256sum", "--check", "--strict", "calico-cni-"+version+"-sha256sums.txt")
	sums.Dir = one
	if out, err := sums.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 2 {
		t.Errorf("sums: %v\n%s", err, out)
	}
	f := must(os.Open(filepath.Join(one, name+".tar.gz")))(t)
	defer f.Close()
	dir, entries := unpack(t, must(gzip.NewReader(f))(t))
	var want []string
	for _, file := range []string{
		"-rw-r--r-- LICENSE", "-rwxr-xr-x calico", "-rwxr-xr-x calico-ipam",
		"-rwxr-xr-x install",
	} {
		mode, base, _ := strings.Cut(file, " ")
		want = append(want, fmt.Sprintf("%s 0:0 %s %s/%s", mode, date, name, base))
	}
	entries = slices.DeleteFunc(entries, func(entry string) bool { return strings.Contains(entry, "/third_party") })
	for _, binary := range []string{"calico", "calico-ipam", "install"} {
		wantLicenses(t, filepath.Join(dir, name, binary), filepath.Join(dir, name))
	}
	if diff := cmp.Diff(append([]string{"drwxr-xr-x 0:0 " + date + " " + name + "/"}, want...), entries); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	wantParts(t, filepath.Join(one, name+".cdx.json"), filepath.Join(dir, name))
}

// wantParts compares the document with the output of the go tool for the binaries.
func wantParts(t *testing.T, document, dir string) {
	t.Helper()
	var bom struct {
		BOMFormat, SpecVersion string
		Metadata               struct{ Timestamp string }
		Components             []struct {
			Type    string
			Ref     string `json:"bom-ref"`
			Name    string
			Version string
			PURL    string
			Hashes  []struct{ Alg, Content string }
		}
		Dependencies []struct {
			Ref       string
			DependsOn []string
		}
	}
	must(0, json.Unmarshal(must(os.ReadFile(document))(t), &bom))(t)
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion != "1.6" || bom.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("head: %+v", bom)
	}
	known := map[string]bool{}
	for _, c := range bom.Components {
		if known[c.Ref] {
			t.Errorf("%s is listed twice", c.Ref)
		}
		known[c.Ref] = true
		if c.Type == "library" && (c.PURL != "pkg:golang/"+c.Name+"@"+c.Version || c.Version == "") {
			t.Errorf("component %+v", c)
		}
		if c.Type == "application" {
			out := must(exec.Command("sha256sum", filepath.Join(dir, c.Name)).Output())(t)
			if len(c.Hashes) != 1 || !strings.HasPrefix(string(out), c.Hashes[0].Content) {
				t.Errorf("%s has the checksum %s, the document has %v", c.Name, out, c.Hashes)
			}
		}
	}
	for _, binary := range []string{"calico", "calico-ipam", "install"} {
		info := must(buildinfo.ReadFile(filepath.Join(dir, binary)))(t)
		want := []string{"pkg:golang/std@" + strings.TrimPrefix(info.GoVersion, "go")}
		for _, m := range info.Deps {
			want = append(want, "pkg:golang/"+m.Path+"@"+m.Version)
		}
		slices.Sort(want)
		for _, d := range bom.Dependencies {
			if d.Ref != "calico-cni/"+binary {
				continue
			}
			if diff := cmp.Diff(want, d.DependsOn); diff != "" {
				t.Errorf("modules of %s (-want +got):\n%s", binary, diff)
			}
			want = nil
		}
		if want != nil {
			t.Errorf("the document has no %s", binary)
		}
	}
	for _, d := range bom.Dependencies {
		for _, ref := range d.DependsOn {
			if !known[ref] {
				t.Errorf("%s depends on %s, which is not a component", d.Ref, ref)
			}
		}
	}
}
