// Command calico is a CNI plugin: it attaches pods by a veth pair and host routes, with addresses from block IPAM.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/dispatch"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/dataplane/linux"
	"calico-cni/pkg/ipamplugin"
	"calico-cni/pkg/plugin"
)

func main() {
	// A command mostly waits, for the kernel and the API server: what more threads cost, they do not bring in.
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	host := ipamplugin.Host{
		Now: time.Now, ReadFile: safeopen.Read, Hostname: os.Hostname, UserAgent: "calico-cni/" + buildinfo.Version,
		OpenLog: ipamplugin.LogTo(os.Stderr, time.Now), State: ipamplugin.DefaultState, Keep: ipamplugin.DefaultKeep,
	}
	p := &plugin.Plugin{
		Host: host, Dataplane: linux.New(""), InterfacePrefix: os.Getenv("FELIX_INTERFACEPREFIX"), Gates: plugin.UsualGates(),
		HostHas: linux.HasWorkload,
	}
	if len(os.Args) > 1 {
		os.Exit(flags(ctx, p, os.Args[1:]))
	}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{
			About: "calico CNI plugin " + buildinfo.Version, Code: cnierr.From, EntersNetNS: true,
			Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status, GC: p.GC,
		})
	stop()
	os.Exit(exit)
}

// flags is for people: -v prints the version, -t tries the configuration on standard input.
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
	fmt.Fprintln(os.Stderr, "usage: calico [-v | -t]: -v prints the version, -t tries whether the datastore of the configuration on standard input is ready; a container runtime calls calico without any")
	return 2
}
