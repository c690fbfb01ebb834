// SPDX-License-Identifier: Apache-2.0

package netconf

// Secret is a string that prints, logs and encodes as "[redacted]". Only Reveal returns its text.
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" for an empty secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString returns the same as String, so that "%#v" does not reveal the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns the same as String, so that encoders such as those of slog do not reveal the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
