// SPDX-License-Identifier: Apache-2.0

// Command calico-ipam is a CNI IPAM plugin: it allocates addresses from blocks of the node in the Kubernetes API.
// The process runs on one processor (package oneproc), so that the runtime need not read the CPU limit of its cgroup.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"os"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/dispatch"
	"calico-cni/internal/lifetime"
	_ "calico-cni/internal/oneproc"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipamplugin"
)

func main() {
	ctx, onSignal := lifetime.Context()
	host := invocation.Host{
		Now: time.Now, ReadFile: safeopen.Read, Hostname: os.Hostname, UserAgent: "calico-cni/" + buildinfo.Version,
		OpenLog: invocation.LogTo(os.Stderr, time.Now), State: invocation.DefaultState, Keep: invocation.DefaultKeep,
		OnSignal: onSignal, NodenameFileOptional: true,
	}
	// A runtime sets CNI_COMMAND. Calico's plugin then ignores arguments, and some wrappers pass some.
	if len(os.Args) > 1 && os.Getenv("CNI_COMMAND") == "" {
		onSignal()
		os.Exit(flags(ctx, host, os.Args[1:]))
	}
	p := &ipamplugin.Plugin{Host: host}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{
			About: "calico-ipam CNI plugin " + buildinfo.Version, Code: cnierr.From,
			Add: p.Add, Del: p.Del, Check: p.Check, Status: p.Status, GC: p.GC,
		})
	os.Exit(exit)
}
