// SPDX-License-Identifier: Apache-2.0

package block

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Attribute is the owner of an address, or the time of its release.
type Attribute struct {
	// Handle is the ID under which the address is allocated. It is empty in the attribute of a cooling address.
	Handle string
	// Owner has the pod, namespace, node, timestamp and type. It is stored under the key "secondary".
	Owner map[string]string
	// AlternateOwner is the second owner during a live migration.
	AlternateOwner map[string]string
	// ReleasedAt is the start of the cooldown. It is zero while the address is allocated.
	ReleasedAt time.Time
	// Unknown are fields of newer writers. They are kept unchanged.
	Unknown map[string]json.RawMessage
}

// SameHandle reports whether a stored handle equals an ID. It ignores a carriage return and all text after it, which an
// old migration has appended to some stored handles.
func SameHandle(stored, want string) bool {
	stored, _, _ = strings.Cut(stored, "\r")
	return stored == want
}

func (a Attribute) cooling() bool { return !a.ReleasedAt.IsZero() && a.Handle == "" }

// cooled reports whether an address has been released and its cooldown is over at now. A release that lies more than
// the cooldown in the future was made with a clock that was ahead, and its cooldown counts as over.
func (a Attribute) cooled(now time.Time, cooldown time.Duration) bool {
	return a.cooling() && now.Sub(a.ReleasedAt).Abs() >= cooldown
}

// CooldownLeft returns how much of the cooldown of a released address is left at now. It returns 0 for an allocated
// address, and after the cooldown.
func (a Attribute) CooldownLeft(now time.Time, cooldown time.Duration) time.Duration {
	if !a.cooling() || a.cooled(now, cooldown) {
		return 0
	}
	return a.ReleasedAt.Add(cooldown).Sub(now)
}

func (a Attribute) clone() Attribute {
	a.Owner, a.AlternateOwner, a.Unknown = maps.Clone(a.Owner), maps.Clone(a.AlternateOwner), maps.Clone(a.Unknown)
	return a
}

func (a Attribute) equal(o Attribute) bool {
	return a.Handle == o.Handle && a.ReleasedAt.Equal(o.ReleasedAt) && len(a.Unknown) == 0 && len(o.Unknown) == 0 &&
		maps.Equal(a.Owner, o.Owner) && maps.Equal(a.AlternateOwner, o.AlternateOwner)
}

// describe says to whom an address is allocated, or that it is cooling.
func (a Attribute) describe() string {
	switch {
	case a.cooling():
		return "is in its cooldown since " + a.ReleasedAt.UTC().Format(time.RFC3339)
	case a.Owner["pod"] != "":
		return fmt.Sprintf("is allocated to pod %s/%s (handle %s)", a.Owner["namespace"], a.Owner["pod"], a.Handle)
	default:
		return "is allocated to handle " + a.Handle
	}
}

// addAttribute returns a list that contains an attribute, and its index. It appends the attribute if it is not in the
// list.
func addAttribute(list []Attribute, a Attribute) ([]Attribute, int) {
	if i := slices.IndexFunc(list, a.equal); i >= 0 {
		return list, i
	}
	return append(list, a.clone()), len(list)
}
