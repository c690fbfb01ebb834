// SPDX-License-Identifier: Apache-2.0

// Package command parses the command line of calico-node. Its flags are those of Calico's binary of that name, so that
// existing manifests can call it.
package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
)

// ErrHelp: the command line asks for the usage text.
var ErrHelp = flag.ErrHelp

// Command is what calico-node is asked to do. Without any field set it runs the agent.
type Command struct {
	// Live and Ready ask the running agent for the check.
	Live, Ready bool
	// Shutdown marks the node as without network, before the agent stops.
	Shutdown bool
	// Clean removes everything of the agent from the node.
	Clean bool
	// Version prints the version.
	Version bool
}

// Probes reports whether the command asks the running agent.
func (c Command) Probes() bool { return c.Live || c.Ready }

// Parse parses the arguments after the name of the program.
func Parse(args []string) (Command, error) {
	var c Command
	if len(args) > 0 && args[0] == "clean" {
		c.Clean = true
		args = args[1:]
	}
	set := flags(&c)
	set.SetOutput(io.Discard)
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return c, ErrHelp
		}
		return c, fmt.Errorf("parse the command line: %w; see calico-node -help", err)
	}
	if set.NArg() > 0 {
		return c, fmt.Errorf("parse the command line: unexpected argument %q; see calico-node -help", set.Arg(0))
	}
	return c, nil
}

// Usage returns the usage text.
func Usage() string {
	var text strings.Builder
	text.WriteString("Usage: calico-node [clean] [flags]\n\nWithout a flag, calico-node runs the node agent.\n\n")
	set := flags(new(Command))
	set.SetOutput(&text)
	set.PrintDefaults()
	return text.String()
}

// flags returns the flags. Several may set one field: the agent has no BIRD, and one process for what Calico has many.
func flags(c *Command) *flag.FlagSet {
	set := flag.NewFlagSet("calico-node", flag.ContinueOnError)
	set.BoolVar(&c.Live, "felix-live", false, "ask the running agent whether it is alive")
	set.BoolVar(&c.Ready, "felix-ready", false, "ask the running agent whether it is ready")
	for _, family := range []string{"bird", "bird6"} {
		set.BoolFunc(family+"-live", "like the flag for felix", func(string) error {
			c.Live = true
			return nil
		})
		set.BoolFunc(family+"-ready", "like the flag for felix", func(string) error {
			c.Ready = true
			return nil
		})
	}
	set.BoolVar(&c.Shutdown, "shutdown", false, "mark the node as without network; for a preStop hook")
	set.BoolVar(&c.Version, "v", false, "print the version")
	set.Bool("felix", false, "run the agent; the default")
	set.Duration("threshold-time", 30*time.Second, "accepted for compatibility, without effect")
	return set
}
