// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"calico-cni/pkg/install/fault"
)

// about is the beginning of the help. The exit codes are those of install.ExitCode.
const about = `install installs the CNI plugins on a node: binaries, then kubeconfig, then network configuration.

Usage:
  install [flags]            install; with --watch, also repair changes and renew the token until stopped
  install uninstall [flags]  remove what was installed, and nothing else
  install status [flags]     show what is installed, and what differs from the configuration
  install version            print the version, as --version does

Every flag has an environment variable, shown in brackets. The flag takes precedence. An empty variable counts as not
set. install does not write files that are up to date. After installing, it waits until it is stopped. In an init
container, set SLEEP to false.

Exit codes:
  0  installed, uninstalled or up to date; or stopped after the installation
  1  a step failed; a restart continues the installation
  2  a flag, an environment variable or the template of the network configuration is invalid
  3  status, --dry-run: something differs from the configuration; uninstall: something was left (the log names it)

Flags:
`

// Usage returns the help text.
func Usage() string {
	return about + newFlags(&Config{}).FlagUsagesWrapped(120)
}

// Parse returns the configuration of the command line and the environment. It checks the form of values; Validate
// checks their meaning. An error wraps pflag.ErrHelp if help was requested, else fault.ErrConfig. It names every
// malformed variable.
func Parse(args []string, getenv func(string) string) (Config, error) {
	var cfg Config
	f := newFlags(&cfg)
	if err := f.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return Config{}, err
	} else if err != nil {
		return Config{}, fmt.Errorf("%w: %w; see install --help", fault.ErrConfig, err)
	}
	if err := cfg.setVerb(f.Args()); err != nil {
		return Config{}, err
	}
	if version, err := f.GetBool("version"); cfg.Verb == VerbVersion || err == nil && version {
		return Config{Verb: VerbVersion}, nil
	}
	if err := f.fromEnv(getenv); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// setVerb sets the verb from the arguments that are not flags.
func (c *Config) setVerb(args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.Verb = Verb(args[0])
	if len(args) > 1 || !slices.Contains([]Verb{VerbUninstall, VerbStatus, VerbVersion}, c.Verb) {
		return fmt.Errorf("%w: unexpected argument %q; see install --help", fault.ErrConfig, args[len(args)-1])
	}
	return nil
}

// fromEnv sets the flags that the command line does not set.
func (f flags) fromEnv(getenv func(string) string) error {
	var faults []error
	f.VisitAll(func(flag *pflag.Flag) {
		variable, ok := f.variable[flag.Name]
		if flag.Changed || !ok || getenv(variable) == "" {
			return
		}
		value := getenv(variable)
		if err := flag.Value.Set(value); err != nil {
			faults = append(faults, fmt.Errorf("%s %q: want %s", variable, value, wanted[flag.Value.Type()]))
		}
	})
	return invalid(faults...)
}

// wanted describes the valid values of a type of flag.
var wanted = map[string]string{
	"bool": "true or false", "int": "a whole number", "stringSlice": "names separated by commas",
}
