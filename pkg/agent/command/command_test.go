// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args string
		want Command
	}{
		{"", Command{}},
		{"-felix", Command{}},
		{"-felix-live -bird-live", Command{Live: true}},
		{"-felix-ready -bird-ready -bird6-ready", Command{Ready: true}},
		{"--felix-ready --threshold-time=10s", Command{Ready: true}},
		{"-shutdown", Command{Shutdown: true}},
		{"clean", Command{Clean: true}},
		{"-v", Command{Version: true}},
	} {
		got, err := Parse(strings.Fields(c.args))
		if err != nil || got != c.want {
			t.Errorf("%q: %+v, %v, want %+v", c.args, got, err, c.want)
		}
	}
	for _, args := range []string{"-no-such-flag", "dirty", "-felix-live extra"} {
		if c, err := Parse(strings.Fields(args)); err == nil {
			t.Errorf("%q: %+v, want an error", args, c)
		}
	}
	if _, err := Parse([]string{"-help"}); !errors.Is(err, ErrHelp) {
		t.Errorf("-help: %v", err)
	}
}
