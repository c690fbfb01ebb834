// Package dispatch runs one CNI invocation: it reads the environment and standard input, checks them as the
// specification says, calls the verb, and prints the result or the error as JSON on standard output, and nothing else
// there (CNI specification 1.1.0, sections 2 and 5).
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// Run runs one invocation and returns the exit code of the process: 0, or 1 after an error was printed.
func Run(ctx context.Context, p Process, plugin Plugin) (exit int) {
	i := invocation{p: p, plugin: plugin, cniVersion: version.Current()}
	defer func() {
		if r := recover(); r != nil {
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
	v, ok := verbs[i.p.Getenv("CNI_COMMAND")]
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
	if v.name == "ADD" {
		result, err := i.plugin.Add(ctx, args)
		if err != nil {
			return i.code(err)
		}
		return i.print(result)
	}
	f := map[string]func(context.Context, *skel.CmdArgs) error{
		"DEL": i.plugin.Del, "CHECK": i.plugin.Check, "GC": i.plugin.GC, "STATUS": i.plugin.Status,
	}[v.name]
	if f == nil {
		return types.NewError(types.ErrInvalidEnvironmentVariables, "CNI_COMMAND "+v.name+" is not supported by this plugin", "")
	}
	if err := f(ctx, args); err != nil {
		return i.code(err)
	}
	return nil
}

func (i *invocation) code(err error) *types.Error {
	var e *types.Error
	if errors.As(err, &e) {
		return e
	}
	return i.plugin.Code(err)
}

func (i *invocation) print(r types.Result) *types.Error {
	converted, err := r.GetAsVersion(i.cniVersion)
	if err != nil {
		return types.NewError(types.ErrInternal, fmt.Sprintf("convert result to version %s: %v", i.cniVersion, err), "")
	}
	if err := converted.PrintTo(i.p.Stdout); err != nil {
		return types.NewError(types.ErrIOFailure, fmt.Sprintf("write result: %v", err), "")
	}
	return nil
}

// version answers VERSION in the version that the input names; input is not required.
func (i *invocation) version() *types.Error {
	asked := struct {
		CNIVersion string `json:"cniVersion"`
	}{}
	if data, err := io.ReadAll(i.p.Stdin); err == nil && json.Unmarshal(data, &asked) == nil && asked.CNIVersion != "" {
		i.cniVersion = asked.CNIVersion
	}
	err := json.NewEncoder(i.p.Stdout).Encode(struct {
		CNIVersion        string   `json:"cniVersion"`
		SupportedVersions []string `json:"supportedVersions"`
	}{i.cniVersion, Versions()})
	if err != nil {
		return types.NewError(types.ErrIOFailure, fmt.Sprintf("write version: %v", err), "")
	}
	return nil
}

// fail prints an error. Standard output that cannot be written leaves standard error to say so.
func (i *invocation) fail(e *types.Error) {
	err := json.NewEncoder(i.p.Stdout).Encode(struct {
		CNIVersion string `json:"cniVersion"`
		Code       uint   `json:"code"`
		Msg        string `json:"msg"`
		Details    string `json:"details,omitempty"`
	}{i.cniVersion, e.Code, strings.ReplaceAll(e.Msg, "\n", "; "), e.Details})
	if err != nil {
		_, _ = fmt.Fprintf(i.p.Stderr, "write error to standard output: %v; the error was: %v\n", err, e)
	}
}

func (i *invocation) unknownCommand() *types.Error {
	if i.p.Getenv("CNI_COMMAND") == "" {
		_, _ = fmt.Fprintf(i.p.Stderr, "%s\nCNI protocol versions supported: %s\n", i.plugin.About, strings.Join(Versions(), ", "))
		return types.NewError(types.ErrInvalidEnvironmentVariables, "required environment variable CNI_COMMAND is missing", "")
	}
	return types.NewError(types.ErrInvalidEnvironmentVariables,
		fmt.Sprintf("CNI_COMMAND %q is unknown; want ADD, DEL, CHECK, GC, STATUS or VERSION", i.p.Getenv("CNI_COMMAND")), "")
}
