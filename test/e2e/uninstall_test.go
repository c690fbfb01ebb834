// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

func TestInstallStatusUninstall(t *testing.T) {
	installed(t)
	s := newSite(t)
	must(t, os.WriteFile(s.path("opt/cni/bin/bridge"), []byte("another program"), 0o755))
	if exit, out, log := s.run([]string{"--dry-run"}); exit != 3 || !strings.Contains(out, "+++ ") || log != "" ||
		s.files() != "opt/cni/bin/bridge\n" {
		t.Errorf("dry run: exit code %d\n%s%s%s", exit, out, log, s.files())
	}
	if exit, _, log := s.run(nil); exit != 0 {
		t.Fatal(log)
	}
	const all = "etc/cni/net.d/.calico-cni.record\netc/cni/net.d/10-calico.conflist\netc/cni/net.d/calico-kubeconfig\n" +
		"opt/cni/bin/bridge\nopt/cni/bin/calico\nopt/cni/bin/calico-ipam\nopt/cni/bin/portmap\n"
	if got := s.files(); got != all {
		t.Errorf("installed:\n%s", got)
	}
	if exit, out, log := s.run([]string{"--dry-run"}); exit != 0 || out != "installing would change nothing\n" {
		t.Errorf("dry run of an installed version: exit code %d\n%s%s", exit, out, log)
	}
	exit, out, log := s.run([]string{"status", "-o", "json"})
	var status struct {
		InstalledVersion string
		Kubeconfig       struct{ TokenExpires time.Time }
		Problems         []string
	}
	must(t, json.Unmarshal([]byte(out), &status))
	if life := time.Until(status.Kubeconfig.TokenExpires); exit != 0 || status.InstalledVersion != "test" ||
		len(status.Problems) > 0 || life < time.Hour || life > 25*time.Hour {
		t.Errorf("status: exit code %d, %+v\n%s", exit, status, log)
	}
	if strings.Contains(out+log, s.token()) {
		t.Error("status shows the token")
	}
	if exit, _, log := s.run([]string{"uninstall"}); exit != 0 {
		t.Errorf("uninstall: exit code %d\n%s", exit, log)
	}
	if got := s.files(); got != "opt/cni/bin/bridge\n" {
		t.Errorf("uninstalling leaves:\n%s", got)
	}
	if exit, out, log := s.run([]string{"status"}); exit != 3 || !strings.Contains(out, "missing") || log != "" {
		t.Errorf("status of nothing: exit code %d\n%s%s", exit, out, log)
	}
}
