// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHelpNamesCommandsForItsCluster(t *testing.T) {
	cache, err := os.UserCacheDir()
	do(t, err)
	standard, _, err := parse([]string{"up"})
	do(t, err)
	other, _, err := parse([]string{"--state", t.TempDir(), "up"})
	do(t, err)
	if standard.dir != filepath.Join(cache, "calico-cni", "cluster") || !standard.standard || other.standard {
		t.Errorf("states %+v and %+v", standard, other)
	}
	do(t, os.WriteFile(other.file("kubed"), []byte("/k/kubed"), 0o600))
	text, err := other.help()
	do(t, err)
	for _, line := range strings.Split(text, "\n") {
		otherCluster := strings.Contains(line, "bin/cluster") && !strings.Contains(line, "--state "+other.dir)
		if strings.Contains(line, "make ") || otherCluster {
			t.Errorf("this acts on another cluster: %s", line)
		}
	}
	if !strings.Contains(text, other.command()+" down") || standard.stopCommand() != "make cluster-down" {
		t.Errorf("help does not say how to end the cluster:\n%s", text)
	}
}

func TestRunningClusterNamesItsCheckout(t *testing.T) {
	s := state{dir: t.TempDir(), standard: true}
	if _, err := s.describe("/mine"); err == nil || !strings.Contains(err.Error(), "still starting") {
		t.Errorf("during the start: %v", err)
	}
	do(t, os.WriteFile(s.file("kubed"), []byte("/k/kubed"), 0o600))
	do(t, os.WriteFile(s.file("checkout"), []byte("/mine"), 0o600))
	if text, err := s.describe("/mine"); err != nil || !strings.Contains(text, "with the plugins of /mine") {
		t.Errorf("same checkout: %v\n%s", err, text)
	}
	text, err := s.describe("/others")
	if err == nil || !strings.Contains(err.Error(), "/mine") || !strings.Contains(err.Error(), "make cluster-down") ||
		!strings.Contains(text, "export KUBECONFIG") {
		t.Errorf("other checkout: %v\n%s", err, text)
	}
}
