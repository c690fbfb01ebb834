// SPDX-License-Identifier: Apache-2.0

package release_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDockerfilePinsImages: build images are named by digest, and the final image has no base.
func TestDockerfilePinsImages(t *testing.T) {
	text := string(must(os.ReadFile(filepath.Join("..", "..", "deploy", "Dockerfile")))(t))
	var from []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "FROM ") {
			from = append(from, line)
		}
		if strings.HasPrefix(line, "ARG GO_IMAGE=") {
			t.Errorf("an unverified default: %s", line)
		}
	}
	want := "FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build\nFROM scratch"
	if got := strings.Join(from, "\n"); got != want {
		t.Errorf("stages are\n%s\nwant\n%s", got, want)
	}
	if !strings.Contains(text, "*@sha256:*") {
		t.Error("an image without a digest is not rejected")
	}
}
