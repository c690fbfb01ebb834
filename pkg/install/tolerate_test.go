// SPDX-License-Identifier: Apache-2.0

package install

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"calico-cni/conflist"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/netconf"
)

// TestInstallReplacesInvalidLogSettings uses values for which the plugins use the default: install does so, too, and
// writes a list for which they have no warning.
func TestInstallReplacesInvalidLogSettings(t *testing.T) {
	for _, c := range []struct {
		set           func(c *config.Config)
		warning, line string
	}{
		{
			func(c *config.Config) { c.LogLevel = "loud" },
			`LOG_LEVEL \"loud\": want debug, info, warning or error; using info`, `"log_level": "info"`,
		},
		{func(c *config.Config) { c.LogLevel = "" }, "", `"log_level": "info"`},
		{func(c *config.Config) { c.LogLevel = "Fatal" }, "", `"log_level": "Fatal"`},
		{func(c *config.Config) { c.LogFileMaxSize = -1 }, "LOG_FILE_MAX_SIZE -1: want 1 to 1048576, " +
			"or 0 for the default; using the default, 100", `"log_file_max_size": 100`},
		{func(c *config.Config) { c.LogFileMaxSize = 1<<20 + 1 }, "LOG_FILE_MAX_SIZE 1048577", `"log_file_max_size": 100`},
		{func(c *config.Config) { c.LogFileMaxSize = 0 }, "", `"log_file_max_size": 0`},
		{func(c *config.Config) { c.LogFileMaxAge = -1 }, "LOG_FILE_MAX_AGE -1", `"log_file_max_age": 30`},
		{func(c *config.Config) { c.LogFileMaxCount = -1 }, "LOG_FILE_MAX_COUNT -1", `"log_file_max_count": 10`},
	} {
		h := newHost(t)
		c.set(&h.cfg)
		h.mustInstall()
		const replaced = "setting of the plugins' log is replaced"
		if log := h.log.String(); c.warning == "" && strings.Contains(log, replaced) || strings.Count(log, c.warning) < 1 {
			t.Errorf("want the warning %q in the log:\n%s", c.warning, log)
		}
		data, err := os.ReadFile(h.path("host/etc/cni/net.d/10-calico.conflist"))
		if err != nil || !bytes.Contains(data, []byte(c.line)) {
			t.Errorf("want %s in the list: %v\n%s", c.line, err, data)
		}
		if warnings := warningsOf(t, data); len(warnings) > 0 {
			t.Errorf("the plugins warn of %v", warnings)
		}
	}
}

// warningsOf returns what the plugins say about the first plugin of a list.
func warningsOf(t *testing.T, list []byte) []netconf.Warning {
	t.Helper()
	plugins, err := conflist.Plugins(list)
	if err != nil {
		t.Fatal(err)
	}
	plugin := map[string]any{}
	if err := json.Unmarshal(plugins[0], &plugin); err != nil {
		t.Fatal(err)
	}
	plugin["name"], plugin["cniVersion"] = "net", "1.0.0"
	stdin, err := json.Marshal(plugin)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := netconf.Parse(stdin)
	if err != nil {
		t.Fatal(err)
	}
	return conf.Warnings
}
