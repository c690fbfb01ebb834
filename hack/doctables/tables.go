// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/startup"
)

var (
	// flagLine is the first line of a flag in the help text: short name, name, name of the value, and description.
	flagLine = regexp.MustCompile(`^ {2,6}(?:(-\w), )?--([a-z0-9-]+)(?: (\S+))? {2,}(\S.*)$`)
	// variable and fallback match the end of a description: the environment variable and the default value.
	variable = regexp.MustCompile(` \[([A-Z0-9_]+)\]`)
	fallback = regexp.MustCompile(` \(default:? "?([^)"]*)"?\)`)
)

// flagTable returns the table of the flags that the help text of install describes.
func flagTable(usage string) (string, error) {
	_, list, _ := strings.Cut(usage, "\nFlags:\n")
	table := "| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n"
	var flag []string
	flush := func() {
		if flag != nil {
			table += flagRow(flag)
		}
	}
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		switch parts := flagLine.FindStringSubmatch(line); {
		case parts != nil:
			flush()
			flag = parts
		case flag != nil && strings.HasPrefix(line, "       "):
			flag[4] += " " + strings.TrimSpace(line)
		case line != "":
			return "", fmt.Errorf("no flag in the line %q", line)
		}
	}
	flush()
	if flag == nil {
		return "", errors.New("no flags in the help text")
	}
	return table, nil
}

// flagRow returns the row of a flag, given the submatches of flagLine.
func flagRow(flag []string) string {
	name, text := "`--"+flag[2]+"`", flag[4]
	if flag[1] != "" {
		name = "`" + flag[1] + "`, " + name
	}
	var env, value string
	if found := variable.FindStringSubmatch(text); found != nil {
		env, text = "`"+found[1]+"`", strings.Replace(text, found[0], "", 1)
	}
	if found := fallback.FindStringSubmatch(text); found != nil {
		value, text = found[1], strings.Replace(text, found[0], "", 1)
		if strings.Contains(found[0], "(default ") {
			value = "`" + value + "`"
		}
	}
	if value == "" && env != "" && flag[3] == "" {
		value = "`false`"
	}
	return row(name, env, value, text)
}

// variableTable returns the table of the variables of calico-node's start-up.
func variableTable(variables []startup.Variable) string {
	table := "| variable | default | meaning |\n| --- | --- | --- |\n"
	for _, v := range variables {
		table += row("`"+v.Name+"`", v.Default, v.Meaning)
	}
	return table
}

// settingTable returns the table of the settings of calico-node.
func settingTable(settings []config.Setting) string {
	table := "| field | variable | default | meaning |\n| --- | --- | --- | --- |\n"
	for _, s := range settings {
		fallback := s.Default
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		table += row("`"+s.Field+"`", "`"+s.Variable+"`", fallback, s.Meaning)
	}
	return table
}

// row returns a line of a table.
func row(cells ...string) string {
	line := "|"
	for _, cell := range cells {
		if cell = strings.ReplaceAll(cell, "|", `\|`); cell != "" {
			line += " " + cell
		}
		line += " |"
	}
	return line + "\n"
}

// valueLine is a key of a YAML mapping, with its value if it is on the same line.
var valueLine = regexp.MustCompile(`^( *)([A-Za-z0-9]+):(?: (.+))?$`)

// valueTable returns the table of the values of a chart. The text has mappings in block style, with a comment above
// each value.
func valueTable(text string) (string, error) {
	table := "| value | default | meaning |\n| --- | --- | --- |\n"
	var path, comment []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if said, is := strings.CutPrefix(strings.TrimSpace(line), "#"); is {
			comment = append(comment, strings.TrimSpace(said))
			continue
		}
		if line == "" {
			comment = nil
			continue
		}
		parts := valueLine.FindStringSubmatch(line)
		if parts == nil {
			return "", fmt.Errorf("%q: want a key, and its value on the same line", line)
		}
		depth := len(parts[1]) / 2
		if depth > len(path) {
			return "", fmt.Errorf("%q: want an indentation of two spaces a level", line)
		}
		path = append(path[:depth:depth], parts[2])
		name, meaning := strings.Join(path, "."), strings.Join(comment, " ")
		comment = nil
		if parts[3] == "" {
			continue
		}
		if meaning == "" {
			return "", fmt.Errorf("%s: want a comment above it", name)
		}
		table += row("`"+name+"`", "`"+cmp.Or(strings.Trim(parts[3], `"`), `""`)+"`", meaning)
		path = path[:depth]
	}
	return table, nil
}
