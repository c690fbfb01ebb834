// Package dispatch runs one CNI invocation: it reads the environment and standard input, checks them as the
// specification says, calls the verb, and prints the result or the error as JSON on standard output, and nothing else
// there (CNI specification 1.1.0, sections 2 and 5).
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

// Process is what an invocation gets from the operating system.
type Process struct {
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Plugin is what dispatch calls: the verbs, each nil where the plugin has none.
type Plugin struct {
	// About is one line for a person who runs the binary by hand.
	About string
	Add   func(context.Context, *skel.CmdArgs) (types.Result, error)
	Del   func(context.Context, *skel.CmdArgs) error
	Check func(context.Context, *skel.CmdArgs) error
	// GC and Status belong to version 1.1.0 of the specification.
	GC     func(context.Context, *skel.CmdArgs) error
	Status func(context.Context, *skel.CmdArgs) error
	// Code gives an error of a verb its code.
	Code func(error) *types.Error
	// EntersNetNS says that ADD works inside CNI_NETNS, which then has to exist beforehand.
	EntersNetNS bool
}

// Versions returns the versions of the specification that every verb answers in.
func Versions() []string {
	return []string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
}

// Run runs one invocation and returns the exit code of the process: 0, or 1 after an error was printed. A panic of a verb
// is printed as an error of code 999, its stack on standard error.
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
	// cniVersion is the one of the configuration, as soon as it is known: answers are given in it.
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
		return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_COMMAND "+v.name+" is not supported by this plugin", "")
	}
	if err := f(ctx, args); err != nil {
		return i.code(err)
	}
	return nil
}

// verb returns the function of a verb that has no result, nil where the plugin has none.
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

// code gives an error its code: its own if it has one, as that of a delegate does, else the plugin's. What was said around
// the former stays.
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
		_, _ = fmt.Fprintf(i.p.Stderr, "%s\nCNI protocol versions supported: %s\n", i.plugin.About, strings.Join(Versions(), ", "))
		return types.NewError(types.ErrInvalidEnvironmentVariables, "required environment variable CNI_COMMAND is missing", "")
	}
	return types.NewError(types.ErrInvalidEnvironmentVariables,
		fmt.Sprintf("CNI_COMMAND %q is unknown; want ADD, DEL, CHECK, GC, STATUS or VERSION", i.p.Getenv("CNI_COMMAND")), "")
}
