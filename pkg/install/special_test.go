// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/fault"
)

// fileRemedy matches the remedies of errors that name a path.
var fileRemedy = regexp.MustCompile(`remove it|move it away|name the list itself`)

// namedKubeconfig has a template that names a kubeconfig on the host, and all other files that install reads.
func namedKubeconfig(h *host) {
	h.write("host/etc/cni/net.d/other", `{"kind": "Config", "apiVersion": "v1", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "https://h"}}],
		"users": [{"name": "u", "user": {"token": "T"}}]}`)
	h.write("template", `{"name": "net", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}, `+
		`"kubernetes": {"kubeconfig": "/etc/cni/net.d/other"}}]}`)
	h.cfg.NetworkConfigFile = h.path("template")
	h.write("host/etc/cni/net.d/05-rival.conf", `{"name": "rival", "type": "bridge"}`)
	for _, dir := range []string{"host/secondary-bin-dir", "host/var/lib/calico", "host/var/run/calico/cni/trouble"} {
		if err := os.MkdirAll(h.path(dir), 0o755); err != nil {
			h.t.Fatal(err)
		}
	}
	h.write("host/var/run/calico/cni/trouble/net.json", "{}")
	h.cfg.NodeFiles = true
}

// files returns the paths of all files that an installation reads or writes, relative to the root of the test.
func (h *host) files() []string {
	h.t.Helper()
	paths := []string{"sa/ca.crt"}
	if h.cfg.NetworkConfigFile != "" {
		paths = append(paths, "template")
	}
	err := filepath.WalkDir(h.path("host"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			name, _ := filepath.Rel(h.root, path)
			paths = append(paths, name)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return paths
}

// TestSpecialFilesDoNotBlock puts a FIFO and a directory in place of each file that install reads.
func TestSpecialFilesDoNotBlock(t *testing.T) {
	kinds := map[string]func(path string) error{
		"FIFO": func(path string) error { return syscall.Mkfifo(path, 0o600) },
	}
	if !testing.Short() {
		kinds["directory"] = func(path string) error { return os.Mkdir(path, 0o755) }
	}
	for setup, set := range map[string]func(h *host){"own list": namedKubeconfig, "chained": chaining} {
		first := newWatched(t, set)
		first.look()
		files := first.files()
		if len(files) < 7 {
			t.Fatalf("files of the host are %v", files)
		}
		for _, file := range files {
			for kind, put := range kinds {
				t.Run(setup+"/"+filepath.Base(file)+"/"+kind, func(t *testing.T) {
					w := newWatched(t, set)
					w.look()
					if err := errors.Join(os.Remove(w.path(file)), put(w.path(file))); err != nil {
						t.Fatal(err)
					}
					w.clock = w.clock.Add(time.Minute)
					w.runAll(file)
				})
			}
		}
	}
}

// runAll runs each verb, and fails the test if one blocks, or returns an error about the file without a remedy.
func (w *watched) runAll(file string) {
	w.t.Helper()
	verb := func(change func(c *config.Config)) func() error { return func() error { return w.verb(change) } }
	for _, run := range []struct {
		name string
		run  func() error
	}{
		{"watch", func() error { return w.Round(w.t.Context()) }},
		{"status", verb(func(c *config.Config) { c.Verb = config.VerbStatus })},
		{"dry run", verb(func(c *config.Config) { c.DryRun = true })},
		{"install", w.install},
		{"uninstall", verb(func(c *config.Config) { c.Verb = config.VerbUninstall })},
	} {
		done := make(chan error, 1)
		go func() { done <- run.run() }()
		select {
		case err := <-done:
			if err != nil && !errors.Is(err, fault.ErrDiffers) &&
				(!strings.Contains(err.Error(), w.path(file)) || !fileRemedy.MatchString(err.Error())) {
				w.t.Errorf("%s: error %v, want the path and a remedy", run.name, err)
			}
			if err == nil && run.name == "install" && w.manages(file) {
				w.t.Errorf("install replaced or accepted %s", file)
			}
		case <-time.After(time.Minute):
			w.t.Fatalf("%s blocks", run.name)
		}
	}
}

// manages reports whether an installation needs a file. It leaves the node's files to an agent, and does not read the
// configurations and conditions of other programs.
func (w *watched) manages(file string) bool {
	switch filepath.Base(file) {
	case "nodename", "mtu", "net.json", "05-rival.conf":
		return false
	}
	return true
}
