// SPDX-License-Identifier: Apache-2.0

package nodestate

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostdir"
	"calico-cni/internal/safeopen"
)

// ConditionKind is what a condition is about.
type ConditionKind string

// The kinds of conditions.
const (
	// ConditionAPI: the API server cannot be reached, refuses the credentials, or the datastore is not ready.
	ConditionAPI ConditionKind = "api"
	// ConditionAddresses: no pool has a free address, or the node's blocks are full and the pools were not checked yet.
	ConditionAddresses ConditionKind = "addresses"
)

// conditionVersion is the format of a condition on disk.
const conditionVersion = 1

// Condition is what a command leaves for STATUS to report.
type Condition struct {
	// Version is set by Store.
	Version int           `json:"version"`
	Kind    ConditionKind `json:"kind"`
	Reason  string        `json:"reason"`
	// Since is when the condition began, by the wall clock. It is informational.
	Since time.Time `json:"since"`
	// Refused says that the API server refuses the credentials.
	Refused bool `json:"refused,omitempty"`
	// Confirmed is the time since boot at which a command last verified the condition, 0 if none has.
	Confirmed time.Duration `json:"confirmedSinceBoot,omitempty"`
}

// Conditions is the directory of the conditions of a node, one file for each network. STATUS, which the runtime calls
// every few seconds, reads it and makes a request only if there is a condition. It need not survive a reboot.
type Conditions string

// Load returns the condition of a network, and false if there is none. A file that cannot be read, or has another
// version, counts as none.
func (c Conditions) Load(network string) (Condition, bool) {
	var found Condition
	data, err := safeopen.Read(c.path(network))
	return found, err == nil && json.Unmarshal(data, &found) == nil && found.Version == conditionVersion
}

// Store writes the condition of a network.
func (c Conditions) Store(network string, condition Condition) error {
	condition.Version = conditionVersion
	data, err := json.Marshal(condition)
	if err != nil {
		return fmt.Errorf("encode condition: %w", err)
	}
	if err := hostdir.Make(string(c), 0o755); err != nil {
		return fmt.Errorf("record condition: %w", err)
	}
	if _, err := atomicfile.WriteFile(c.path(network), data, 0o600); err != nil {
		return fmt.Errorf("record condition: %w", err)
	}
	return nil
}

// Clear removes the condition of a network.
func (c Conditions) Clear(network string) { _ = os.Remove(c.path(network)) }

// Refusals identifies the conditions of all networks that report refused credentials. The result changes with each such
// condition, and is empty if there is none. It contains no time that can be compared with the wall clock.
func (c Conditions) Refusals() string {
	var refusals strings.Builder
	for name, found := range c.all() {
		if !found.condition.Refused {
			continue
		}
		if info, err := found.entry.Info(); err == nil {
			fmt.Fprintf(&refusals, "%s %d\n", name, info.ModTime().UnixNano())
		}
	}
	return refusals.String()
}

// APIUnavailable reports whether a network has a condition of the kind ConditionAPI.
func (c Conditions) APIUnavailable() bool {
	for _, found := range c.all() {
		if found.condition.Kind == ConditionAPI {
			return true
		}
	}
	return false
}

// storedCondition is a condition with its file.
type storedCondition struct {
	entry     os.DirEntry
	condition Condition
}

// all yields the conditions by network, sorted by file name.
func (c Conditions) all() iter.Seq2[string, storedCondition] {
	return func(yield func(string, storedCondition) bool) {
		entries, _ := os.ReadDir(string(c))
		for _, e := range entries {
			network, ok := strings.CutSuffix(e.Name(), conditionSuffix)
			if !ok {
				continue
			}
			if condition, ok := c.Load(network); ok && !yield(network, storedCondition{e, condition}) {
				return
			}
		}
	}
}

const conditionSuffix = ".json"

// path names the file after the network, shortened to the length of a file name.
func (c Conditions) path(network string) string {
	return filepath.Join(string(c), network[:min(len(network), 200)]+conditionSuffix)
}
