// SPDX-License-Identifier: Apache-2.0

package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"calico-cni/pkg/model"
	"calico-cni/pkg/selector"
)

// Sources are the inputs of the configuration.
type Sources struct {
	// Node is the name of the node, and Labels are its labels.
	Node   string
	Labels map[string]string
	// Env is the environment. Variables without the prefix FELIX_ are ignored.
	Env map[string]string
	// File is the content of felix.cfg, empty if it does not exist.
	File []byte
	// Objects are the FelixConfiguration objects.
	Objects []Object
}

// Object is a FelixConfiguration object.
type Object struct {
	Name    string
	Created time.Time
	// Spec is the JSON of the field spec.
	Spec json.RawMessage
}

// The kinds of sources other than objects, in findings and origins. fileName is the name of the file.
const (
	kindVariable = "environment"
	kindFile     = "file"
	fileName     = "felix.cfg"
)

// variablePrefix begins the names of variables.
const variablePrefix = "FELIX_"

// layer is the settings of one source. name is the name of an object or file.
type layer struct {
	kind, name string
	settings   []setting
}

// source returns the source as text.
func (l layer) source() string { return strings.TrimSpace(l.kind + " " + l.name) }

// finding returns a finding about a setting.
func (l layer) finding(key, problem, remedy string) model.Finding {
	f := model.Finding{Kind: l.kind, Name: l.name, Field: key, Problem: problem, Remedy: remedy}
	switch l.kind {
	case kindVariable:
		f.Name, f.Field = key, ""
	case model.KindFelix:
		if f.Field != "spec" {
			f.Field = "spec." + key
		}
	}
	return f
}

// setting is one value of a source. key is the name as the source has it, for messages.
type setting struct{ key, name, text string }

// layers returns the settings of all sources, with the highest precedence first.
func (s Sources) layers() ([]layer, []model.Finding) {
	fromFile, findings := fileLayer(s.File)
	all := []layer{environmentLayer(s.Env), fromFile}
	objects, more := s.objects()
	findings = append(findings, more...)
	for _, o := range objects {
		l, more := o.layer()
		all, findings = append(all, l), append(findings, more...)
	}
	return all, findings
}

func environmentLayer(env map[string]string) layer {
	l := layer{kind: kindVariable}
	for _, key := range slices.Sorted(maps.Keys(env)) {
		if len(key) > len(variablePrefix) && strings.EqualFold(key[:len(variablePrefix)], variablePrefix) {
			l.settings = append(l.settings, setting{key, key[len(variablePrefix):], strings.TrimSpace(env[key])})
		}
	}
	return l
}

// fileLayer parses a file of lines "name = value" under the heading "[global]".
func fileLayer(content []byte) (layer, []model.Finding) {
	l, section, number := layer{kind: kindFile, name: fileName}, "", 0
	var findings []model.Finding
	bad := func(problem, remedy string) {
		findings = append(findings, l.finding(fmt.Sprintf("line %d", number), problem, remedy))
	}
	for line := range bytes.Lines(content) {
		number++
		text := strings.TrimSpace(string(line))
		switch {
		case !utf8.ValidString(text):
			bad("it is ignored: it is not UTF-8", "correct or remove it")
		case text == "" || text[0] == '#' || text[0] == ';':
		case text[0] == '[':
			if section = strings.ToLower(strings.Trim(text, "[] \t")); section != "global" {
				bad("the settings under "+text+" are ignored", "move them under [global]")
			}
		case section != "global":
			if section == "" {
				bad("it is ignored: it is not under [global]", "move it under [global]")
			}
		default:
			at := strings.IndexAny(text, "=:")
			if at < 1 {
				bad("it is ignored: it has no name and value", "write name = value")
				continue
			}
			key := strings.TrimSpace(text[:at])
			l.settings = append(l.settings, setting{key, key, unquoted(text[at+1:])})
		}
	}
	slices.SortStableFunc(l.settings, func(a, b setting) int { return strings.Compare(a.key, b.key) })
	return l, findings
}

// unquoted returns a value of a file without quotes, or without the comment at its end.
func unquoted(text string) string {
	text = strings.TrimSpace(text)
	if len(text) >= 2 && (text[0] == '"' || text[0] == '\'') && text[len(text)-1] == text[0] {
		return text[1 : len(text)-1]
	}
	for _, mark := range []string{" #", " ;", "\t#", "\t;"} {
		text, _, _ = strings.Cut(text, mark)
	}
	return strings.TrimSpace(text)
}

// objects returns the objects that apply to the node, with the highest precedence first.
func (s Sources) objects() ([]Object, []model.Finding) {
	var forNode, forAll, selected []Object
	var findings []model.Finding
	for _, o := range s.Objects {
		switch {
		case o.Name == "default":
			forAll = append(forAll, o)
		case o.Name == nodeObject+s.Node:
			forNode = append(forNode, o)
		case o.scoped():
			matches, finding := o.selects(s.Labels)
			if matches {
				selected = append(selected, o)
			}
			findings = append(findings, finding...)
		}
	}
	slices.SortFunc(selected, func(a, b Object) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	if len(selected) > 1 {
		for _, o := range selected[1:] {
			findings = append(findings, o.empty().finding("nodeSelector", fmt.Sprintf("the object is ignored: the older "+
				"object %s also selects node %s", selected[0].Name, s.Node), "change one of the selectors"))
		}
		selected = selected[:1]
	}
	return slices.Concat(forNode, selected, forAll), findings
}

// nodeObject begins the name of the object of one node.
const nodeObject = "node."

// scoped reports whether the node selector of the object, and not its name, selects its nodes.
func (o Object) scoped() bool { return o.Name != "default" && !strings.HasPrefix(o.Name, nodeObject) }

// selects reports whether the node selector of an object matches the labels of the node.
func (o Object) selects(labels map[string]string) (bool, []model.Finding) {
	reject := func(problem, remedy string) (bool, []model.Finding) {
		return false, []model.Finding{o.empty().finding("nodeSelector", problem, remedy)}
	}
	var spec struct {
		NodeSelector string `json:"nodeSelector"`
	}
	if err := json.Unmarshal(o.Spec, &spec); err != nil && len(o.Spec) > 0 {
		return reject("the object is ignored: its spec or its nodeSelector cannot be decoded", "repair or delete the object")
	}
	if strings.TrimSpace(spec.NodeSelector) == "" {
		return reject("the object applies to no node", "set nodeSelector, or name the object default or node.NODE")
	}
	s, err := selector.Parse(spec.NodeSelector)
	if err != nil {
		return reject("the object is ignored: "+err.Error(), "correct the selector")
	}
	return s.Matches(labels), nil
}

// empty returns the layer of the object without settings.
func (o Object) empty() layer { return layer{kind: model.KindFelix, name: o.Name} }

// layer returns the settings of an object.
func (o Object) layer() (layer, []model.Finding) {
	l := o.empty()
	if len(o.Spec) == 0 {
		return l, nil
	}
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(o.Spec))
	decoder.UseNumber()
	if err := decoder.Decode(&fields); err != nil {
		return l, []model.Finding{l.finding("spec", "the object is ignored: its spec cannot be decoded",
			"repair or delete the object")}
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if key != "nodeSelector" {
			l.settings = append(l.settings, setting{key, key, text(fields[key])})
		}
	}
	if !o.scoped() && text(fields["nodeSelector"]) != "" {
		return l, []model.Finding{l.finding("nodeSelector", "it has no effect: the name of the object selects its nodes",
			"remove it, or give the object another name")}
	}
	return l, nil
}

// text returns a value of JSON in the form that the environment has. A null and an empty list are like an absent field.
func text(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(v)
	case []any:
		parts := make([]string, len(v))
		for i, element := range v {
			parts[i] = text(element)
		}
		return strings.Join(parts, ",")
	case map[string]any:
		data, err := json.Marshal(v)
		if err != nil {
			return "{}"
		}
		return string(data)
	}
	return fmt.Sprint(value)
}
