// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"strings"

	"calico-cni/pkg/model"
)

// Result is the configuration with what is known about its settings.
type Result struct {
	Config Config
	// Origins are the sources of the settings that a source has set to a valid value, by the name of the field of
	// FelixConfiguration.
	Origins map[string]string
	// Findings are the bad settings. Each setting without effect has one finding, even if several sources set it.
	Findings []model.Finding
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
			r.take(l, set)
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

func (r *resolver) find(l layer, set setting, problem, remedy string) {
	r.result.Findings = append(r.result.Findings, l.finding(set.key, problem, remedy))
}

// take applies a setting unless a source with higher precedence has it too.
func (r *resolver) take(l layer, set setting) {
	p, known := r.known[strings.ToLower(set.name)]
	if !known {
		r.report(l, set)
		return
	}
	if set.text == "" {
		return
	}
	if earlier, found := r.taken[p.name]; found {
		if earlier == l.source() {
			r.find(l, set, "it is ignored: another spelling of this setting already has a value", "remove one of them")
		}
		return
	}
	// An invalid value also hides those of lower precedence, as in Felix.
	r.taken[p.name] = l.source()
	err := p.set(&r.result.Config, set.text)
	ignored := partial("")
	switch {
	case errors.As(err, &ignored):
		r.find(l, set, err.Error(), "remove the others")
	case err != nil:
		r.find(l, set, fmt.Sprintf("%q is ignored and %s applies", set.text, p.fallbackText()), "set "+err.Error())
		return
	}
	r.result.Origins[p.name] = l.source()
}

func (p parameter) fallbackText() string {
	if p.fallback == "" {
		return "no value"
	}
	return "the default " + p.fallback
}

// report reports a setting that is not a parameter.
func (r *resolver) report(l layer, set setting) {
	f, found := r.ignored[strings.ToLower(set.name)]
	switch {
	case !found:
		r.find(l, set, "there is no such setting", "correct its name or remove it")
	case set.text != "" && !f.agrees(set.text) && !r.reported[f.name]:
		r.find(l, set, "the setting has no effect: calico-node does not implement it",
			"remove it unless Calico's node agent reads it too")
	}
	if found && set.text != "" {
		r.reported[f.name] = true
	}
}
