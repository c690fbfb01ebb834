// SPDX-License-Identifier: Apache-2.0

package watch

import "log/slog"

// maxNotes bounds the number of stored notes.
const maxNotes = 64

// Notes logs conditions that are no faults, each once.
type Notes struct {
	log   *slog.Logger
	known map[string]bool
}

// NewNotes returns empty notes.
func NewNotes(log *slog.Logger) *Notes { return &Notes{log: log, known: map[string]bool{}} }

// Once logs a text unless it was logged before.
func (n *Notes) Once(text string) {
	if n.known[text] {
		return
	}
	if len(n.known) == maxNotes {
		clear(n.known)
	}
	n.known[text] = true
	n.log.Warn(text)
}
