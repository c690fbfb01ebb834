// Command calico-ipam is a CNI IPAM plugin: it allocates addresses from blocks that nodes own, kept in the
// Kubernetes API.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/dispatch"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/ipamplugin"
)

func main() {
	// A command mostly waits, for the kernel and the API server: what more threads cost, they do not bring in.
	runtime.GOMAXPROCS(1)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	host := ipamplugin.Host{
		Now: time.Now, ReadFile: safeopen.Read, Hostname: os.Hostname, UserAgent: "calico-cni/" + buildinfo.Version,
		OpenLog: ipamplugin.LogTo(os.Stderr, time.Now), State: ipamplugin.DefaultState, Keep: ipamplugin.DefaultKeep,
	}
	if len(os.Args) > 1 {
		os.Exit(flags(ctx, host, os.Args[1:]))
	}
	p := &ipamplugin.Plugin{Host: host}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{
			About: "calico-ipam CNI plugin " + buildinfo.Version, Code: cnierr.From,
			Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status, GC: p.GC,
		})
	stop()
	os.Exit(exit)
}
