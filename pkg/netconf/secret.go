package netconf

// Secret is a string that prints, logs and encodes as "[redacted]". Its text is to be had only by Reveal.
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String returns "[redacted]", or "" for no secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString returns what String does, so that "%#v" gives nothing away.
func (s Secret) GoString() string { return s.String() }

// MarshalText returns what String does: encoders, slog's among them, print no secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
