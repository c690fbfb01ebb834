// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIPAMPluginErrorsHaveNoGoInternals runs programs that fail in every way that the specification does not define.
func TestIPAMPluginErrorsHaveNoGoInternals(t *testing.T) {
	for _, c := range []struct {
		name, verb, text string
		mode             fs.FileMode
		want             string
	}{
		{"silence", "ADD", "#!/bin/sh\nexit 3\n", 0o700, "it fails without a message: it exits with code 3"},
		{"signal", "ADD", "#!/bin/sh\nkill -9 $$\n", 0o700, "it fails without a message: it is killed by the signal killed"},
		{
			"only a log", "ADD", "#!/bin/sh\necho no lilies >&2\nexit 1\n", 0o700,
			`it fails with "no lilies\n": it exits with code 1`,
		},
		{
			"an error that is not JSON", "ADD", "#!/bin/sh\necho lilies\nexit 1\n", 0o700,
			`it fails, and its error is no JSON: "lilies\n"`,
		},
		{"a result that is not JSON", "ADD", "#!/bin/sh\necho lilies\n", 0o700, "its result is unusable: it is not JSON at " +
			"line 1, column 1; see the quotes and commas there"},
		{"no result", "ADD", "#!/bin/sh\n", 0o700, "its result is unusable: it is empty; want one JSON object"},
		{"no result of DEL", "DEL", "#!/bin/sh\n", 0o700, ""},
		{"not executable", "ADD", "#!/bin/sh\n", 0o600, "it fails without a message: it cannot be run: permission denied"},
		{"no program", "ADD", "text", 0o700, "it fails without a message: it cannot be run: exec format error"},
	} {
		path := filepath.Join(t.TempDir(), "lily")
		if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := delegateExec().ExecPlugin(t.Context(), path, nil, []string{"CNI_COMMAND=" + c.verb})
		got := ""
		if err != nil {
			got = strings.TrimSuffix(err.Error(), "; ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
