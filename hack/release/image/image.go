// SPDX-License-Identifier: Apache-2.0

// Package image builds the container image without a container runtime, as an OCI archive. containerd, CRI-O and podman
// can import it.
//
// Source: the OCI image specification 1.1, image layout; the annotation io.containerd.image.name of containerd's
// importer.
package image

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"calico-cni/hack/release/archive"
	"calico-cni/hack/release/build"
)

// BinDir is the directory of the binaries in the image, as in Calico's image.
const BinDir = "opt/cni/bin"

// Image is the image for one platform: the binaries in BinDir, and their licences.
type Image struct {
	Platform build.Platform
	Files    []archive.File
}

// Archive returns the images as one OCI archive with a reference, "NAME:TAG". The result depends only on the arguments.
func Archive(images []Image, reference string, date time.Time) ([]byte, error) {
	tag, err := name.NewTag(reference, name.StrictValidation)
	if err != nil {
		return nil, fmt.Errorf("parse name of image: %w", err)
	}
	dir, err := os.MkdirTemp("", "calico-cni-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := write(dir, images, tag, date); err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	files, err := archive.Dir(dir, "")
	if err != nil {
		return nil, err
	}
	for i := range files {
		files[i].Executable = false
	}
	return archive.Tar(files, date)
}

// write writes an image layout. A single image is referenced directly, several by an index of their own.
func write(dir string, images []Image, tag name.Tag, date time.Time) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	named := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag.String(),
		"io.containerd.image.name":          tag.String(),
	})
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		image, err := i.assemble(tag.TagStr(), date)
		if err != nil {
			return err
		}
		platform := v1.Platform{OS: i.Platform.OS, Architecture: i.Platform.Arch}
		if len(images) == 1 {
			return path.AppendImage(image, named, layout.WithPlatform(platform))
		}
		index = mutate.AppendManifests(index,
			mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	return path.AppendIndex(index, named)
}

// assemble returns the image of one platform.
func (i Image) assemble(version string, date time.Time) (v1.Image, error) {
	data, err := archive.Tar(i.Files, date)
	if err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: date.UTC()}
	image, err := mutate.Append(base, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: created, CreatedBy: "calico-cni hack/release"},
	})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = i.Platform.OS, i.Platform.Arch, created
	config.Config = v1.Config{
		Entrypoint: []string{"/" + BinDir + "/install"}, Env: []string{"PATH=/" + BinDir}, User: "0:0", WorkingDir: "/",
		Labels: map[string]string{
			"org.opencontainers.image.title": "calico-cni", "org.opencontainers.image.version": version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}
