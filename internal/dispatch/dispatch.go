// SPDX-License-Identifier: Apache-2.0

// Package dispatch runs one CNI invocation. It reads the environment and standard input, validates them against the
// specification, calls the verb, and prints the result or the error as JSON. It prints nothing else to standard output
// (CNI specification 1.1.0, sections 2 and 5).
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"
)

// Process is the operating system environment of an invocation.
type Process struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Plugin has the verbs of a plugin. A verb that the plugin does not support is nil.
type Plugin struct {
	// About is one line of text for a user who runs the binary by hand.
	About string
	Add   func(context.Context, *skel.CmdArgs) (types.Result, error)
	Del   func(context.Context, *skel.CmdArgs) error
	Check func(context.Context, *skel.CmdArgs) error
	// GC and Status belong to version 1.1.0 of the specification.
	GC     func(context.Context, *skel.CmdArgs) error
	Status func(context.Context, *skel.CmdArgs) error
	// Code maps an error of a verb to a CNI error with its code.
	Code func(error) *types.Error
	// EntersNetNS says that ADD enters CNI_NETNS, which must then exist before the verb runs.
	EntersNetNS bool
}

// Versions returns the versions of the specification that every verb supports.
func Versions() []string {
	return []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
}

// Run runs one invocation and returns the exit code of the process: 0, or 1 after it printed an error. A panic of a
// verb becomes an error with code 999, and its stack goes to standard error.
func Run(ctx context.Context, p Process, plugin Plugin) (exit int) {
	i := invocation{p: p, plugin: plugin, cniVersion: version.Current()}
	defer func() {
		if r := recover(); r != nil {
			_, _ = fmt.Fprintf(p.Stderr, "panic: %v\n%s", r, debug.Stack())
			i.fail(types.NewError(types.ErrInternal, fmt.Sprintf("internal error: %v; please report it", r), ""))
			exit = 1
		}
	}()
	if err := i.run(ctx); err != nil {
		i.fail(err)
		return 1
	}
	return 0
}

type invocation struct {
	p      Process
	plugin Plugin
	// cniVersion is the version of the configuration once it is known. Results and errors use it.
	cniVersion string
}

func (i *invocation) run(ctx context.Context) *types.Error {
	v, ok := verbOf(i.p.Getenv("CNI_COMMAND"))
	if !ok {
		return i.unknownCommand()
	}
	args, err := i.environment(v)
	if err != nil {
		return err
	}
	if v.name == "VERSION" {
		return i.version()
	}
	if args.StdinData, err = i.config(v); err != nil {
		return err
	}
	if err := i.netns(v, args); err != nil {
		return err
	}
	return i.call(ctx, v, args)
}

func (i *invocation) call(ctx context.Context, v verb, args *skel.CmdArgs) *types.Error {
	if v.name == "ADD" && i.plugin.Add != nil {
		result, err := i.plugin.Add(ctx, args)
		if err != nil {
			return i.code(err)
		}
		return i.print(result)
	}
	f := i.plugin.verb(v.name)
	if f == nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables,
			"CNI_COMMAND "+v.name+" is not supported by this plugin", "")
	}
	if err := f(ctx, args); err != nil {
		return i.code(err)
	}
	return nil
}

// verb returns the function of a verb without a result, or nil if the plugin does not support the verb.
func (p *Plugin) verb(name string) func(context.Context, *skel.CmdArgs) error {
	switch name {
	case "DEL":
		return p.Del
	case "CHECK":
		return p.Check
	case "GC":
		return p.GC
	case "STATUS":
		return p.Status
	}
	return nil
}

// code returns the CNI error for err: its own code if it wraps a CNI error, such as that of a delegate, else the
// plugin's. In the former case the message keeps the text around the wrapped error.
func (i *invocation) code(err error) *types.Error {
	var e *types.Error
	switch {
	case !errors.As(err, &e):
		return i.plugin.Code(err)
	case err.Error() == e.Error():
		return e
	}
	return types.NewError(e.Code, err.Error(), "")
}

func (i *invocation) unknownCommand() *types.Error {
	if i.p.Getenv("CNI_COMMAND") == "" {
		_, _ = fmt.Fprintf(i.p.Stderr, "%s\nCNI protocol versions supported: %s\n", i.plugin.About,
			strings.Join(Versions(), ", "))
		return types.NewError(types.ErrInvalidEnvironmentVariables,
			"required environment variable CNI_COMMAND is missing", "")
	}
	return types.NewError(types.ErrInvalidEnvironmentVariables,
		fmt.Sprintf("CNI_COMMAND %q is unknown; want ADD, DEL, CHECK, GC, STATUS or VERSION",
			i.p.Getenv("CNI_COMMAND")), "")
}
