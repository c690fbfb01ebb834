// SPDX-License-Identifier: Apache-2.0

package install

import (
	"os"
	"testing"
	"time"
)

func TestWatchKeepsAWorkingKubeconfigOfTheNodeAgent(t *testing.T) {
	w := newWatched(t)
	w.look()
	const agents = "# Kubeconfig file for Calico CNI plugin.\nkind: Config\n"
	path := w.path("host/etc/cni/net.d/calico-kubeconfig")
	if err := os.WriteFile(path, []byte(agents), 0o600); err != nil {
		t.Fatal(err)
	}
	w.look()
	if got, _ := os.ReadFile(path); string(got) != agents {
		t.Errorf("kubeconfig is %s", got)
	}
	w.authority.refuses = true
	w.clock = w.clock.Add(time.Hour)
	w.look()
	if got, _ := os.ReadFile(path); string(got) == agents {
		t.Error("a kubeconfig that the API server refuses stays")
	}
}

// TestWatchChecksTheNodeAgentsKubeconfigRarely runs a round every second, as on a node where files change all the time.
func TestWatchChecksTheNodeAgentsKubeconfigRarely(t *testing.T) {
	w := newWatched(t)
	w.look()
	if err := os.WriteFile(w.path("host/etc/cni/net.d/calico-kubeconfig"), []byte("kind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.authority.asked = 0
	for start, step := w.clock, pace(time.Second, 10); w.clock.Before(start.Add(10 * time.Minute)); {
		w.look()
		w.clock = w.clock.Add(step)
	}
	if w.authority.asked > 2*600/30 {
		t.Errorf("asked %d times in ten minutes", w.authority.asked)
	}
}

func TestWatchKeepsTheNodeAgentsKubeconfigDuringAnOutage(t *testing.T) {
	w := newWatched(t)
	w.look()
	path := w.path("host/etc/cni/net.d/calico-kubeconfig")
	if err := os.WriteFile(path, []byte("kind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.look()
	w.authority.out = true
	w.clock = w.clock.Add(time.Minute)
	w.look()
	if got, _ := os.ReadFile(path); string(got) != "kind: Config\n" {
		t.Errorf("kubeconfig is %s", got)
	}
}
