// Command calico is a CNI plugin: it attaches pods by a veth pair and host routes, with addresses from block IPAM.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/dispatch"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/dataplane/linux"
	"calico-cni/pkg/plugin"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		fmt.Println(buildinfo.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	p := &plugin.Plugin{
		Dataplane: linux.New(""), Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Now: time.Now,
		ReadFile: os.ReadFile, Hostname: os.Hostname,
		InterfacePrefix: os.Getenv("FELIX_INTERFACEPREFIX"), UserAgent: "calico-cni/" + buildinfo.Version,
	}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{About: "calico CNI plugin " + buildinfo.Version, Add: p.Add, Del: p.Del, Code: cnierr.From, EntersNetNS: true})
	stop()
	os.Exit(exit)
}
