// Command calico-ipam is a CNI IPAM plugin: it allocates addresses from blocks that nodes own, kept in the Kubernetes API.
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
	"calico-cni/pkg/ipamplugin"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "-v" {
		fmt.Println(buildinfo.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	p := &ipamplugin.Plugin{
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Now: time.Now,
		ReadFile: os.ReadFile, Hostname: os.Hostname,
		UserAgent: "calico-cni/" + buildinfo.Version,
	}
	exit := dispatch.Run(ctx,
		dispatch.Process{Getenv: os.Getenv, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr},
		dispatch.Plugin{About: "calico-ipam CNI plugin " + buildinfo.Version, Add: p.Add, Del: p.Del, Code: cnierr.From})
	stop()
	os.Exit(exit)
}
