// SPDX-License-Identifier: Apache-2.0

package licenses

import (
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryLinkedModuleHasLicence builds the project's binaries and compares the licences with the modules that Go
// reports.
func TestEveryLinkedModuleHasLicence(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/...")
	cmd.Dir = filepath.Join("..", "..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	var binaries []string
	for _, name := range []string{"calico", "calico-ipam", "install"} {
		binaries = append(binaries, filepath.Join(dir, name))
	}
	files, err := Of(t.Context(), binaries, "licenses")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, f := range files {
		module, _, _ := strings.Cut(strings.TrimPrefix(f.Name, "licenses/"), "@")
		if has[module] = true; len(f.Data) == 0 {
			t.Errorf("%s is empty", f.Name)
		}
	}
	modules := 0
	for _, binary := range binaries {
		info, err := buildinfo.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range info.Deps {
			if modules++; !has[m.Path] {
				t.Errorf("%s is linked into %s but has no licence", m.Path, filepath.Base(binary))
			}
		}
	}
	if modules == 0 || !has["std"] {
		t.Errorf("%d modules, licences of %v", modules, has)
	}
}

func TestModuleWithoutLicenceIsRejected(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		want error
		n    int
	}{
		{"none", "main.go", ErrMissing, 0},
		{"only of third-party code", "third_party/x/LICENSE", ErrMissing, 1},
		{"source file of that name", "license.go", ErrMissing, 0},
		{"MIT", "LICENSE.MIT", nil, 1},
		{"British spelling", "LICENCE.txt", nil, 1},
		{"GNU", "COPYING", nil, 1},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, tt.file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte("text"), 0o644)); err != nil {
			t.Fatal(err)
		}
		files, err := below(dir, false)
		if !errors.Is(err, tt.want) || len(files) != tt.n {
			t.Errorf("%s: %d files, %v", tt.name, len(files), err)
		}
	}
}
