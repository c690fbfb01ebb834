// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"time"
)

// Time is a time as objects store it: RFC 3339 in UTC, to the second, and null if zero.
//
// +kubebuilder:object:generate=false
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:Format=date-time
type Time struct{ time.Time }

// DeepCopy returns a copy.
func (t *Time) DeepCopy() *Time { return new(*t) }

// UnmarshalJSON reads a time with any offset and precision.
func (t *Time) UnmarshalJSON(data []byte) error {
	*t = Time{}
	if string(data) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.Parse(time.RFC3339, text)
	t.Time = parsed.UTC()
	return err
}

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().AppendFormat(nil, `"`+time.RFC3339+`"`), nil
}
