// SPDX-License-Identifier: Apache-2.0

// Command calico is a CNI plugin: it attaches pods by a veth pair and host routes, with addresses from block IPAM.
// The process runs on one processor (package oneproc), so that the runtime need not read the CPU limit of its cgroup.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/dispatch"
	"calico-cni/internal/lifetime"
	_ "calico-cni/internal/oneproc"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/dataplane/linux"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/plugin"
)

func main() {
	ctx, onSignal := lifetime.Context()
	host := invocation.Host{
		Now: time.Now, ReadFile: safeopen.Read, Hostname: os.Hostname, UserAgent: "calico-cni/" + buildinfo.Version,
		OpenLog: invocation.LogTo(os.Stderr, time.Now), State: invocation.DefaultState, Keep: invocation.DefaultKeep,
		OnSignal: onSignal,
	}
	p := &plugin.Plugin{
		Host: host, Dataplane: linux.New(""), HostHas: linux.HasWorkload, Gates: plugin.DefaultGates(),
		InterfacePrefix: os.Getenv("FELIX_INTERFACEPREFIX"),
	}
	// A runtime sets CNI_COMMAND. Arguments are then ignored, because some wrappers pass some. As in Calico's plugin, -t
	// works in every environment.
	if len(os.Args) > 1 && (os.Getenv("CNI_COMMAND") == "" || os.Args[1] == "-t") {
		os.Exit(flags(ctx, p, os.Args[1:]))
	}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{
			About: "calico CNI plugin " + buildinfo.Version, Code: cnierr.From, EntersNetNS: true,
			Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status, GC: p.GC,
		})
	os.Exit(exit)
}

// flags handles the flags for users: -v prints the version, -t checks the datastore of the configuration on standard
// input.
func flags(ctx context.Context, p *plugin.Plugin, args []string) (exit int) {
	switch {
	case len(args) == 1 && args[0] == "-v":
		fmt.Println(buildinfo.Version)
		return 0
	case len(args) == 1 && args[0] == "-t":
		if err := p.Try(ctx, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return 0
	}
	fmt.Fprintln(
		os.Stderr,
		"usage: calico [-v | -t]: -v prints the version, -t checks whether the datastore of the configuration on standard "+
			"input is ready; a container runtime calls calico without flags",
	)
	return 2
}
