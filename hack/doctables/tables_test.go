// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	agentconfig "calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/install/config"
)

func TestFlagTable(t *testing.T) {
	const usage = `About it.

Flags:
      --host-root directory   directory below which the
                              host is mounted [CNI_HOST_ROOT] (default "/host")
      --sleep                 wait [SLEEP] (default true)
      --watch                 watch | renew [WATCH]
      --node-name name        name of the node (default: the host's name) [NODE]
      --chain name            name of a list [CHAIN]
  -o, --output format         format of status [OUT] (default "text")
      --version               print the version
`
	const want = "| flag | variable | default | meaning |\n| --- | --- | --- | --- |\n" +
		"| `--host-root` | `CNI_HOST_ROOT` | `/host` | directory below which the host is mounted |\n" +
		"| `--sleep` | `SLEEP` | `true` | wait |\n" +
		"| `--watch` | `WATCH` | `false` | watch \\| renew |\n" +
		"| `--node-name` | `NODE` | the host's name | name of the node |\n" +
		"| `--chain` | `CHAIN` | | name of a list |\n" +
		"| `-o`, `--output` | `OUT` | `text` | format of status |\n" +
		"| `--version` | | | print the version |\n"
	got, err := flagTable(usage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"no flags here", "\nFlags:\nnonsense\n"} {
		if got, err := flagTable(bad); err == nil {
			t.Errorf("%q is accepted: %s", bad, got)
		}
	}
}

// TestEveryFlagHasARow compares the table with the flags in the help text of install.
func TestEveryFlagHasARow(t *testing.T) {
	usage := config.Usage()
	got, err := flagTable(usage)
	if err != nil {
		t.Fatal(err)
	}
	_, flags, _ := strings.Cut(usage, "\nFlags:\n")
	if rows, want := strings.Count(got, "\n| `"), strings.Count(flags, " --"); rows != want || want < 30 {
		t.Errorf("%d rows for %d flags", rows, want)
	}
	for line := range strings.Lines(got) {
		if strings.Contains(line, "[") || strings.Contains(line, "(default") {
			t.Errorf("variable or default in the meaning: %s", line)
		}
	}
}

func TestValueTable(t *testing.T) {
	const values = `# All values.

# Of the node.
host:
  # Directory of
  # plugins.
  binDir: /opt/cni/bin
  log:
    # Level.
    level: info
# Pools.
pools: []
# Tag.
tag: ""
`
	const want = "| value | default | meaning |\n| --- | --- | --- |\n" +
		"| `host.binDir` | `/opt/cni/bin` | Directory of plugins. |\n" +
		"| `host.log.level` | `info` | Level. |\n" +
		"| `pools` | `[]` | Pools. |\n" +
		"| `tag` | `\"\"` | Tag. |\n"
	got, err := valueTable(values)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"a: 1\n", "# A.\na:\n  - 1\n", "# A.\n    a: 1\n"} {
		if got, err := valueTable(bad); err == nil {
			t.Errorf("%q is accepted: %s", bad, got)
		}
	}
}

func TestTablesOfCalicoNode(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{
			variableTable([]startup.Variable{{Name: "A", Meaning: "x|y"}}),
			"| variable | default | meaning |\n| --- | --- | --- |\n| `A` | | x\\|y |\n",
		},
		{
			settingTable([]agentconfig.Setting{{Field: "a", Variable: "FELIX_A", Default: "1", Meaning: "m"}}),
			"| field | variable | default | meaning |\n| --- | --- | --- | --- |\n| `a` | `FELIX_A` | `1` | m |\n",
		},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestReplace(t *testing.T) {
	const page = "above\n<!-- begin x (generated) -->\nold\n<!-- end x -->\nbelow\n"
	got, err := replace(page, "x", "new\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(page, "old", "new", 1); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{"", "<!-- end x -->\n<!-- begin x -->\n"} {
		if _, err := replace(bad, "x", ""); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
