// SPDX-License-Identifier: Apache-2.0

package install

import (
	"strings"
	"testing"
	"time"
)

// warnings returns the warnings that runtimes use another configuration.
func (h *host) warnings() (lines []string) {
	for line := range strings.Lines(h.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "runtimes use") {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestInstallWarnsIfRuntimesUseAnotherConfiguration installs, watches for some rounds, and requests the status.
func TestInstallWarnsIfRuntimesUseAnotherConfiguration(t *testing.T) {
	const dir = "host/etc/cni/net.d/"
	rival := func(names ...string) func(h *host) {
		return func(h *host) {
			for _, name := range names {
				h.write(dir+name, `{"name": "rival", "type": "bridge"}`)
			}
		}
	}
	for _, tt := range []struct {
		name string
		set  func(h *host)
		// want is the file that the warning names, empty for no warning.
		want string
	}{
		{"none", rival(), ""},
		{"before ours", rival("05-rival.conf"), "05-rival.conf instead of 10-calico.conflist"},
		{"after ours", rival("20-rival.conf"), ""},
		{"two before ours", rival("06-second.json", "05-first.conflist"), "05-first.conflist instead of 10-calico.conflist"},
		{"hidden file", rival(".rival.conf"), ".rival.conf instead of 10-calico.conflist"},
		{"extensions that runtimes do not read", rival("05-rival.conf.bak", "05-rival", "05-rival.yaml"), ""},
		{"our own file of an earlier run", func(h *host) { h.mustInstall(); h.log.Reset() }, ""},
		{
			"our file of another name", func(h *host) {
				h.mustInstall()
				h.cfg.ConfName = "20-calico.conflist"
				h.log.Reset()
			}, "",
		},
		{"list that contains the plugin", chaining, ""},
		{
			"before the list that contains the plugin", func(h *host) { chaining(h); rival("04-rival.conf")(h) },
			"04-rival.conf instead of 05-theirs.conflist",
		},
		{"moved aside", func(h *host) { rival("05-rival.conf")(h); h.cfg.Exclusive = true }, ""},
		{"removed", func(h *host) { rival("05-old.conf")(h); h.cfg.OldConfName = "05-old.conf" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWatched(t, tt.set)
			for round := range 3 {
				w.look()
				w.clock = w.clock.Add(time.Minute)
				got := w.warnings()
				if len(got) != min(1, len(tt.want)) || len(got) == 1 &&
					(!strings.Contains(got[0], tt.want) || !strings.Contains(got[0], "install with --exclusive")) {
					t.Errorf("round %d: warnings %q, want %q", round, got, tt.want)
				}
				if w.cfg.Exclusive {
					tt.set(w.host)
				}
			}
			w.look()
			s, err := w.status()
			problems := strings.Join(s.Problems, "; ")
			if (err == nil) != (tt.want == "") || strings.Count(problems, "runtimes use") != min(1, len(tt.want)) ||
				!strings.Contains(problems, tt.want) {
				t.Errorf("status = %v, problems %q", err, problems)
			}
		})
	}
}
