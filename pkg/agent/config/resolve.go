// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"
)

// Problem is what is wrong with a setting.
type Problem string

// The problems of settings.
const (
	// Unknown: there is no setting with that name.
	Unknown Problem = "unknown"
	// Invalid: the value has the wrong form. The default applies.
	Invalid Problem = "invalid"
	// NoEffect: the setting is known, but the agent does not implement it.
	NoEffect Problem = "no effect"
)

// Finding is a bad setting, with the remedy.
type Finding struct {
	// Source is the source of the setting: environment, felix.cfg, or FelixConfiguration and its name. Key is the name
	// of the setting as the source has it.
	Source, Key string
	Problem     Problem
	Message     string
}

// String returns the finding as one line.
func (f Finding) String() string { return f.Source + ": " + f.Key + ": " + f.Message }

// Result is the configuration with what is known about its settings.
type Result struct {
	Config Config
	// Origins are the sources of the settings that a source has set to a valid value, by the name of the field of
	// FelixConfiguration.
	Origins map[string]string
	// Findings are the bad settings. Each setting without effect has one finding, even if several sources set it.
	Findings []Finding
}

// Resolve returns the configuration of a node.
func Resolve(s Sources) Result {
	layers, findings := s.layers()
	r := resolver{
		result:   Result{Config: Default(), Origins: map[string]string{}, Findings: findings},
		known:    map[string]parameter{},
		ignored:  map[string]ignoredField{},
		taken:    map[string]string{},
		reported: map[string]bool{},
	}
	for _, p := range parameters() {
		r.known[strings.ToLower(p.name)] = p
		if p.alias != "" {
			r.known[strings.ToLower(p.alias)] = p
		}
	}
	for _, f := range ignored() {
		r.ignored[strings.ToLower(f.name)] = f
		if f.alias != "" {
			r.ignored[strings.ToLower(f.alias)] = f
		}
	}
	for _, l := range layers {
		for _, set := range l.settings {
			r.take(l.source, set)
		}
	}
	return r.result
}

// resolver applies settings, those with the highest precedence first.
type resolver struct {
	result  Result
	known   map[string]parameter
	ignored map[string]ignoredField
	// taken has the source of each parameter that a source has set. reported has the ignored fields that a source has
	// set.
	taken    map[string]string
	reported map[string]bool
}

func (r *resolver) find(source string, set setting, p Problem, format string, args ...any) {
	r.result.Findings = append(r.result.Findings, Finding{source, set.key, p, fmt.Sprintf(format, args...)})
}

// take applies a setting unless a source with higher precedence has it too.
func (r *resolver) take(source string, set setting) {
	p, known := r.known[strings.ToLower(set.name)]
	if !known {
		r.report(source, set)
		return
	}
	if set.text == "" {
		return
	}
	if earlier, found := r.taken[p.name]; found {
		if earlier == source {
			r.find(source, set, Invalid, "another spelling of this setting already has a value; remove one of them")
		}
		return
	}
	// An invalid value also hides those of lower precedence, as in Felix.
	r.taken[p.name] = source
	err := p.set(&r.result.Config, set.text)
	ignored := partial("")
	switch {
	case errors.As(err, &ignored):
		r.find(source, set, NoEffect, "%v", err)
	case err != nil:
		r.find(source, set, Invalid, "invalid value %q: %v; %s applies", set.text, err, p.fallbackText())
		return
	}
	r.result.Origins[p.name] = source
}

func (p parameter) fallbackText() string {
	if p.fallback == "" {
		return "no value"
	}
	return "the default " + p.fallback
}

// report reports a setting that is not a parameter.
func (r *resolver) report(source string, set setting) {
	f, found := r.ignored[strings.ToLower(set.name)]
	switch {
	case !found:
		r.find(source, set, Unknown, "there is no such setting; correct its name or remove it")
	case set.text != "" && !f.agrees(set.text) && !r.reported[f.name]:
		r.find(source, set, NoEffect, "this agent does not implement the setting; it has no effect")
	}
	if found && set.text != "" {
		r.reported[f.name] = true
	}
}
