// Package trouble remembers on a node what the last command met that the next one will meet too: an API server out of
// reach, pools without an address. STATUS, which is asked every few seconds, tells from that without a request, and asks
// only while there is something to tell.
package trouble

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
)

// Kind is what the trouble is with.
type Kind string

// The kinds of trouble.
const (
	// API: the API server cannot be reached, does not take our credentials, or says that it is not ready.
	API Kind = "api"
	// Addresses: no pool has an address left, or what is left was not looked at yet.
	Addresses Kind = "addresses"
)

// Report is one trouble.
type Report struct {
	Kind   Kind      `json:"kind"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	// Refused says that the API server does not know our credentials.
	Refused bool `json:"refused,omitempty"`
	// Confirmed is when somebody last made sure of it; zero when it is no more than a suspicion.
	Confirmed time.Time `json:"confirmed"`
}

// Dir holds one file a network. It need not outlive the host's uptime.
type Dir string

// Load returns the trouble of a network, and false when there is none. A file that cannot be read counts as none.
func (d Dir) Load(network string) (Report, bool) {
	var r Report
	data, err := safeopen.Read(d.path(network))
	return r, err == nil && json.Unmarshal(data, &r) == nil
}

// Store remembers a trouble.
func (d Dir) Store(network string, r Report) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode trouble: %w", err)
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return fmt.Errorf("remember trouble: %w", err)
	}
	if _, err := atomicfile.WriteFile(d.path(network), data, 0o600); err != nil {
		return fmt.Errorf("remember trouble: %w", err)
	}
	return nil
}

// RefusedSince says that a network's credentials were refused after a moment, by the time of its file.
func (d Dir) RefusedSince(moment time.Time) bool {
	entries, _ := os.ReadDir(string(d))
	for _, e := range entries {
		network, ok := strings.CutSuffix(e.Name(), suffix)
		info, err := e.Info()
		if !ok || err != nil || !info.ModTime().After(moment) {
			continue
		}
		if r, ok := d.Load(network); ok && r.Refused {
			return true
		}
	}
	return false
}

// Clear forgets the trouble of a network.
func (d Dir) Clear(network string) { _ = os.Remove(d.path(network)) }

const suffix = ".json"

// path names the file after the network, as far as a file's name goes.
func (d Dir) path(network string) string {
	return filepath.Join(string(d), network[:min(len(network), 200)]+suffix)
}
