// SPDX-License-Identifier: Apache-2.0

package install

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"calico-cni/internal/nodestate"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/install/config"
)

// wantGroup checks the API group in the network configuration.
func (h *host) wantGroup(group string) {
	h.t.Helper()
	data, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
	if err != nil {
		h.t.Fatal(err)
	}
	if want := `"calico_api_group": "` + group + `"`; !strings.Contains(string(data), want) {
		h.t.Errorf("the network configuration lacks %s:\n%s", want, data)
	}
}

func TestInstallWritesTheGroupThatIsServed(t *testing.T) {
	for _, c := range []struct {
		configured string
		served     apigroup.Served
		want       string
	}{
		{"", apigroup.Served{V3: true}, config.V3Group},
		{"", apigroup.Served{V1: true, V3: true}, config.CRDGroup},
		{config.CRDGroup, apigroup.Served{V3: true}, config.CRDGroup},
	} {
		h := newHost(t)
		h.cfg.APIGroup, h.served.groups = c.configured, c.served
		h.mustInstall()
		h.wantGroup(c.want)
	}
}

func TestFirstInstallFailsWithoutKnownGroup(t *testing.T) {
	h := newHost(t)
	h.served.err = errors.New("the API server is down")
	if err := h.install(); err == nil || !strings.Contains(err.Error(), "find API group: ") ||
		!strings.Contains(err.Error(), "set CALICO_API_GROUP") {
		t.Errorf("install: %v", err)
	}
	if got := h.tree(); got != "" {
		t.Errorf("install has written:\n%s", got)
	}
}

// TestInstalledNodeKeepsItsGroup installs again, prints the status and runs dry while the API server does not answer.
func TestInstalledNodeKeepsItsGroup(t *testing.T) {
	h := newHost(t)
	h.served.groups = apigroup.Served{V3: true}
	h.mustInstall()
	h.served.err = errors.New("the API server is down")
	h.mustInstall()
	h.wantGroup(config.V3Group)
	h.cfg.DryRun = true
	if err := h.install(); err != nil {
		t.Errorf("dry run: %v\n%s", err, &h.out)
	}
	h.cfg.DryRun, h.cfg.Verb, h.served.asked = false, config.VerbStatus, 0
	if err := h.install(); err != nil || h.served.asked != 0 {
		t.Errorf("status: %v after %d requests\n%s", err, h.served.asked, &h.out)
	}
}

// TestWatchChangesTheGroupAfterMigration wakes a watching installer after a plugin has reported a locked datastore.
func TestWatchChangesTheGroupAfterMigration(t *testing.T) {
	h := newHost(t)
	h.served.groups = apigroup.Served{V1: true, V3: true, Migrating: true}
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	n := newNode(h.cfg, h.deps(tokens(issue), func() time.Time { return clock }))
	w := newWatcher(n)
	if err := w.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantGroup(config.CRDGroup)
	locked := nodestate.Condition{Kind: nodestate.ConditionAPI, Reason: "datastore not ready"}
	if err := nodestate.Conditions(h.cfg.Layout().ConditionsDir()).Store("k8s-pod-network", locked); err != nil {
		t.Fatal(err)
	}
	h.served.groups = apigroup.Served{V1: true, V3: true, Migrated: true}
	clock = clock.Add(15 * time.Second)
	if err := w.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.wantGroup(config.V3Group)
}
