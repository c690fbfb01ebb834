// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
)

// Chain adds plugin to the list in data. It replaces a plugin of the same type; otherwise it becomes the first plugin,
// because it creates the interface that the others configure. All other bytes stay unchanged. An error wraps
// ErrInvalid.
func Chain(data, plugin []byte) ([]byte, error) {
	l, err := locate(data)
	if err != nil {
		return nil, err
	}
	kind, err := typeOf(plugin)
	if err != nil {
		return nil, err
	}
	for n, e := range l.elements {
		if l.types[n] != kind {
			continue
		}
		if equalJSON(data[e.start:e.end], plugin) {
			return data, nil
		}
		return splice(data, e, plugin), nil
	}
	if len(l.elements) == 0 {
		return splice(data, l.array, plugin), nil
	}
	first := l.elements[0].start
	// The white space after the bracket separates the plugins, too.
	between := slices.Concat(plugin, []byte(","), data[l.array.start:first])
	return splice(data, span{first, first}, between), nil
}

// Unchain removes the plugins of a type from the list in data. It also returns the number of remaining plugins. All
// other bytes stay unchanged. An error wraps ErrInvalid.
func Unchain(data []byte, kind string) (rest []byte, left int, err error) {
	for {
		l, err := locate(data)
		if err != nil {
			return nil, 0, err
		}
		n := slices.Index(l.types, kind)
		if n < 0 {
			return data, len(l.elements), nil
		}
		cut := l.elements[n]
		switch {
		case n+1 < len(l.elements):
			cut.end = l.elements[n+1].start
		case n > 0:
			cut.start = l.elements[n-1].end
		}
		data = splice(data, cut, nil)
	}
}

// Extends reports whether a list equals want except for added plugins and fields: it has the same name and version, and
// all plugins of want in the same order. It has no other plugin of the same type as one of want.
func Extends(data, want []byte) bool {
	var a, b struct {
		Name       string            `json:"name"`
		CNIVersion string            `json:"cniVersion"`
		Plugins    []json.RawMessage `json:"plugins"`
	}
	if json.Unmarshal(data, &a) != nil || json.Unmarshal(want, &b) != nil || a.Name != b.Name ||
		a.CNIVersion != b.CNIVersion {
		return false
	}
	if len(b.Plugins) == 0 {
		return equalJSON(data, want)
	}
	missing := b.Plugins
	for _, p := range a.Plugins {
		if len(missing) > 0 && equalJSON(p, missing[0]) {
			missing = missing[1:]
			continue
		}
		// The runtime would call this plugin in addition to the one of want.
		if slices.ContainsFunc(b.Plugins, func(q json.RawMessage) bool { return sameType(p, q) }) {
			return false
		}
	}
	return len(missing) == 0
}

// span is a part of a text, from start up to end.
type span struct{ start, end int }

func splice(data []byte, s span, insert []byte) []byte {
	return slices.Concat(data[:s.start], insert, data[s.end:])
}

// location has the positions of the plugins in the text of a list. array is the text between the brackets.
type location struct {
	array    span
	elements []span
	types    []string
}

// locate finds the plugins of a list in its text.
func locate(data []byte) (location, error) {
	if err := checkJSON(data); err != nil {
		return location{}, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	// The first token is the brace of the object.
	_, _ = d.Token()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return location{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if key == "plugins" {
			return locatePlugins(d)
		}
		var skipped json.RawMessage
		if err := d.Decode(&skipped); err != nil {
			return location{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return location{}, fmt.Errorf("%w: want a list of plugins under %q, as in a .conflist file", ErrInvalid, "plugins")
}

// locatePlugins reads the array that starts at the position of the decoder.
func locatePlugins(d *json.Decoder) (location, error) {
	if bracket, err := d.Token(); err != nil || bracket != json.Delim('[') {
		return location{}, fmt.Errorf("%w: want a list under %q", ErrInvalid, "plugins")
	}
	l := location{array: span{start: int(d.InputOffset())}}
	for d.More() {
		var plugin json.RawMessage
		if err := d.Decode(&plugin); err != nil {
			return location{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		kind, err := typeOf(plugin)
		if err != nil {
			return location{}, err
		}
		end := int(d.InputOffset())
		l.elements, l.types = append(l.elements, span{end - len(plugin), end}), append(l.types, kind)
	}
	if _, err := d.Token(); err != nil {
		return location{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	l.array.end = int(d.InputOffset()) - 1
	return l, nil
}

func typeOf(plugin []byte) (string, error) {
	var p struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(plugin, &p); err != nil || p.Type == "" {
		return "", fmt.Errorf("%w: a plugin of the list has no type", ErrInvalid)
	}
	return p.Type, nil
}

func sameType(a, b []byte) bool {
	x, errX := typeOf(a)
	y, errY := typeOf(b)
	return errX == nil && errY == nil && x == y
}

// equalJSON compares the values of two texts. It compares numbers as text.
func equalJSON(a, b []byte) bool {
	x, errX := decodeNumbers(a)
	y, errY := decodeNumbers(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decodeNumbers(data []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err = d.Decode(&value); err == nil && d.More() {
		err = io.ErrUnexpectedEOF
	}
	return value, err
}
