// SPDX-License-Identifier: Apache-2.0

// Command doctables generates the tables of flags, values and variables in the documentation.
//
//	doctables DIR OUT: reads the tree DIR, and writes the pages with current tables to OUT
//
// Two comments in a page mark the place of a table: "<!-- begin NAME ... -->" and "<!-- end NAME -->".
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	agentconfig "calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/install/config"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: doctables DIR OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "doctables:", err)
		os.Exit(1)
	}
}

func run(dir, out string) error {
	flags, err := flagTable(config.Usage())
	if err != nil {
		return fmt.Errorf("read flags of install: %w", err)
	}
	if err := write(dir, out, "docs/install.md", "flags", flags); err != nil {
		return err
	}
	page := filepath.Join("docs", "calico-node.md")
	if err := write(dir, out, page, "variables", variableTable(startup.Variables())); err != nil {
		return err
	}
	// The second table is written into the page with the first one.
	if err := write(out, out, page, "settings", settingTable(agentconfig.Settings())); err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(dir, "deploy", "chart", "values.yaml"))
	if err != nil {
		return fmt.Errorf("read values of the chart: %w", err)
	}
	values, err := valueTable(string(text))
	if err != nil {
		return fmt.Errorf("read values of the chart: %w", err)
	}
	return write(dir, out, "docs/deploy.md", "values", values)
}

// write replaces a table in a page of dir, and writes the page to out.
func write(dir, out, page, name, table string) error {
	text, err := os.ReadFile(filepath.Join(dir, page))
	if err != nil {
		return fmt.Errorf("read page: %w", err)
	}
	replaced, err := replace(string(text), name, table)
	if err != nil {
		return fmt.Errorf("write table of %s: %w", page, err)
	}
	path := filepath.Join(out, page)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if err := os.WriteFile(path, []byte(replaced), 0o644); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// replace returns a page with another table between the comments of that name.
func replace(page, name, table string) (string, error) {
	begin, end := strings.Index(page, "<!-- begin "+name+" "), strings.Index(page, "<!-- end "+name+" -->")
	if begin < 0 || end < begin {
		return "", fmt.Errorf(`want comments "<!-- begin %s ... -->" and "<!-- end %s -->", in this order`, name, name)
	}
	comment, _, _ := strings.Cut(page[begin:], "\n")
	return page[:begin] + comment + "\n" + table + page[end:], nil
}
