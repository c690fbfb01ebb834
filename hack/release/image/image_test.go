// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"calico-cni/hack/release/archive"
	"calico-cni/hack/release/build"
)

var date = time.Unix(1700000000, 0)

// of returns an image with one small file.
func of(arch string) Image {
	return Image{
		build.Platform{OS: "linux", Arch: arch},
		[]archive.File{{Name: BinDir + "/install", Data: []byte(arch), Executable: true}},
	}
}

// load unpacks an OCI archive, checks its index and returns it.
func load(t *testing.T, data []byte) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, h.Name)
		if h.Typeflag == tar.TypeDir {
			err = os.Mkdir(path, 0o755)
		} else {
			content, readErr := io.ReadAll(r)
			err = errors.Join(readErr, os.WriteFile(path, content, 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Fatal(err)
	}
	return index
}

// only returns the single entry of an index, which must have the name.
func only(t *testing.T, index v1.ImageIndex) v1.Descriptor {
	t.Helper()
	m, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Manifests) != 1 {
		t.Fatalf("%d entries, want one", len(m.Manifests))
	}
	for _, key := range []string{"org.opencontainers.image.ref.name", "io.containerd.image.name"} {
		if got := m.Manifests[0].Annotations[key]; got != "localhost/calico-cni:v1" {
			t.Errorf("%s is %q", key, got)
		}
	}
	return m.Manifests[0]
}

func pack(t *testing.T, images ...Image) []byte {
	t.Helper()
	data, err := Archive(images, "localhost/calico-cni:v1", date)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestImageOfOnePlatform(t *testing.T) {
	index := load(t, pack(t, of("arm64")))
	entry := only(t, index)
	if !entry.MediaType.IsImage() || entry.Platform.String() != "linux/arm64" {
		t.Errorf("entry %+v", entry)
	}
	image, err := index.Image(entry.Digest)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/opt/cni/bin/install" ||
		config.Config.User != "0:0" {
		t.Errorf("it runs %q as %q", got, config.Config.User)
	}
	if config.OS != "linux" || config.Architecture != "arm64" || !config.Created.Equal(date) ||
		len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("config %+v", config)
	}
}

func TestImageOfSeveralPlatforms(t *testing.T) {
	index := load(t, pack(t, of("amd64"), of("arm64")))
	entry := only(t, index)
	inner, err := index.ImageIndex(entry.Digest)
	if err != nil {
		t.Fatal(err)
	}
	m, err := inner.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range m.Manifests {
		image, err := inner.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.Platform.String()+"="+config.Architecture)
	}
	if !slices.Equal(got, []string{"linux/amd64=amd64", "linux/arm64=arm64"}) {
		t.Errorf("platforms %v", got)
	}
}

func TestImageIsReproducible(t *testing.T) {
	one := pack(t, of("amd64"), of("arm64"))
	if !bytes.Equal(one, pack(t, of("amd64"), of("arm64"))) {
		t.Error("two builds differ")
	}
	if bytes.Equal(one, pack(t, of("amd64"), of("s390x"))) {
		t.Error("a different file does not change the image")
	}
}

func TestInvalidReferenceIsRejected(t *testing.T) {
	for _, reference := range []string{"calico-cni:v1", "localhost/calico-cni", "localhost/Calico:v1", ""} {
		if _, err := Archive([]Image{of("amd64")}, reference, date); err == nil {
			t.Errorf("%q is accepted", reference)
		}
	}
}
