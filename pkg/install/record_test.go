// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"calico-cni/pkg/install/record"
)

func (h *host) record() string {
	h.t.Helper()
	data, err := os.ReadFile(h.path("host/etc/cni/net.d/" + record.Name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

func TestRecordMayHaveFieldsOfALaterVersion(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	h.write("host/etc/cni/net.d/"+record.Name,
		strings.Replace(h.record(), `"format": 1,`, `"format": 1, "later": {"a": [1]},`, 1))
	h.mustInstall()
	if err := h.uninstall(); err != nil {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree("")
}

// TestInstallKeepsARecordOfANewerFormat simulates a rollback over a version that changed the format.
func TestInstallKeepsARecordOfANewerFormat(t *testing.T) {
	h := newHost(t)
	h.mustInstall()
	newer := `{"format": 2, "version": "v9.0.0", "files": ["in another way"]}`
	h.write("host/etc/cni/net.d/"+record.Name, newer)
	h.put("image/calico", "v2")
	h.mustInstall()
	h.checkTree(strings.Replace(installed, "calico v1", "calico v2", 1))
	if got := h.record(); got != newer {
		t.Errorf("the record is %s", got)
	}
	if log := h.log.String(); !regexp.MustCompile(`level=WARN .*v9\.0\.0`).MatchString(log) {
		t.Errorf("log:\n%s", log)
	}
	if err := h.uninstall(); !errors.Is(err, record.ErrNewer) || !strings.Contains(err.Error(), "v9.0.0") {
		t.Errorf("uninstall = %v", err)
	}
	h.checkTree(strings.Replace(installed, "calico v1", "calico v2", 1))
}
