// SPDX-License-Identifier: Apache-2.0

// Package trouble remembers on a node what the last command met that the next one will meet too: an API server out of
// reach, pools without an address. STATUS, which is asked every few seconds, tells from that without a request, and
// asks only while there is something to tell.
package trouble

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostdir"
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

// version is the format of a report. Reports of the release before have none.
const version = 1

// Report is one trouble.
type Report struct {
	// Version is set by Store.
	Version int    `json:"version,omitempty"`
	Kind    Kind   `json:"kind"`
	Reason  string `json:"reason"`
	// Since is when it began, by the wall clock: for people alone.
	Since time.Time `json:"since"`
	// Refused says that the API server does not know our credentials.
	Refused bool `json:"refused,omitempty"`
	// Confirmed is when a command last made sure of it, since boot; zero when it is a suspicion.
	Confirmed time.Duration `json:"confirmedSinceBoot,omitempty"`
}

// Dir holds one file a network. It need not outlive the host's uptime.
type Dir string

// Load returns the trouble of a network, and false when there is none. A file that cannot be read, or is of a later
// version, counts as none.
func (d Dir) Load(network string) (Report, bool) {
	var r Report
	data, err := safeopen.Read(d.path(network))
	return r, err == nil && json.Unmarshal(data, &r) == nil && r.Version <= version
}

// Store remembers a trouble.
func (d Dir) Store(network string, r Report) error {
	r.Version = version
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode trouble: %w", err)
	}
	if err := hostdir.Make(string(d), 0o755); err != nil {
		return fmt.Errorf("remember trouble: %w", err)
	}
	if _, err := atomicfile.WriteFile(d.path(network), data, 0o600); err != nil {
		return fmt.Errorf("remember trouble: %w", err)
	}
	return nil
}

// Refusals identifies the reports of refused credentials that there are, of any network: it changes with each such
// report, and is empty when there is none. It says nothing about time, which a clock that was set would falsify.
func (d Dir) Refusals() string {
	entries, _ := os.ReadDir(string(d))
	var refusals strings.Builder
	for _, e := range entries {
		network, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		if r, ok := d.Load(network); !ok || !r.Refused {
			continue
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprintf(&refusals, "%s %d\n", network, info.ModTime().UnixNano())
		}
	}
	return refusals.String()
}

// Clear forgets the trouble of a network.
func (d Dir) Clear(network string) { _ = os.Remove(d.path(network)) }

const suffix = ".json"

// path names the file after the network, as far as a file's name goes.
func (d Dir) path(network string) string {
	return filepath.Join(string(d), network[:min(len(network), 200)]+suffix)
}
