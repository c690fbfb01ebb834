// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// Media types of the OCI image specification 1.1.
const (
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

// image returns an image with one file, its entrypoint, as an OCI layout in a tar archive for `ctr images import`.
func image(reference, entrypoint string, program []byte) ([]byte, error) {
	layer, err := archive([]file{{strings.TrimPrefix(entrypoint, "/"), 0o755, program}})
	if err != nil {
		return nil, err
	}
	var l layout
	layerBlob := l.blob(mediaLayer, layer)
	config := l.json(mediaConfig, map[string]any{
		"os": "linux", "architecture": goarch,
		"config": map[string]any{"Entrypoint": []string{entrypoint}, "WorkingDir": "/"},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []any{layerBlob["digest"]}},
	})
	manifest := l.json(mediaManifest, map[string]any{
		"schemaVersion": 2, "mediaType": mediaManifest, "config": config, "layers": []any{layerBlob},
	})
	manifest["annotations"] = map[string]string{"io.containerd.image.name": reference}
	manifest["platform"] = map[string]string{"os": "linux", "architecture": goarch}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})
	if err != nil {
		return nil, err
	}
	version := []byte(`{"imageLayoutVersion":"1.0.0"}`)
	l.files = append(l.files, file{"oci-layout", 0o644, version}, file{"index.json", 0o644, index})
	return archive(l.files)
}

// layout collects the blobs of an image.
type layout struct{ files []file }

// blob adds a blob and returns its descriptor.
func (l *layout) blob(mediaType string, data []byte) map[string]any {
	sum := fmt.Sprintf("%x", sha256.Sum256(data))
	l.files = append(l.files, file{path.Join("blobs", "sha256", sum), 0o644, data})
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + sum, "size": len(data)}
}

func (l *layout) json(mediaType string, value any) map[string]any {
	// Encoding maps, strings and numbers never fails.
	data, _ := json.Marshal(value)
	return l.blob(mediaType, data)
}

type file struct {
	name string
	mode int64
	data []byte
}

func archive(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data))}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write archive: %w", err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("write archive: %w", err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write archive: %w", err)
	}
	return out.Bytes(), nil
}
