// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/internal/deadline"
	"calico-cni/internal/nodestate"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/agent"
	"calico-cni/pkg/agent/command"
	"calico-cni/pkg/agent/config"
	"calico-cni/pkg/agent/health"
	"calico-cni/pkg/agent/startup"
	"calico-cni/pkg/agent/tunneladdr"
	"calico-cni/pkg/install/apiclient"
	"calico-cni/pkg/install/apigroup"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/crdstore"
	"calico-cni/pkg/kubeapi/clientgo"
)

// serviceAccountDir is where Kubernetes mounts the service account of a pod.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// configFile is the configuration file of Felix.
const configFile = "/etc/calico/felix.cfg"

// probeTimeout bounds a probe.
const probeTimeout = 10 * time.Second

// environment returns the environment as a map.
func environment() map[string]string {
	env := map[string]string{}
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	return env
}

// runAgent runs the agent until the context ends.
func runAgent(ctx context.Context, log *slog.Logger, level *slog.LevelVar) error {
	env := environment()
	file, err := safeopen.Read(configFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the configuration: %w", err)
	}
	apiclient.RedirectLog(log)
	credentials := apiclient.Credentials{
		Kubeconfig: env["KUBECONFIG"], ServiceAccountDir: serviceAccountDir,
		Host: env["KUBERNETES_SERVICE_HOST"], Port: env["KUBERNETES_SERVICE_PORT"],
	}
	api, err := credentials.Config()
	if err != nil {
		return err
	}
	api.UserAgent = "calico-node/" + buildinfo.Version
	start := config.Resolve(config.Sources{Env: env, File: file}).Config
	level.Set(start.LogLevel)
	group, version, err := apiGroup(ctx, env, apigroup.Discovery{Credentials: credentials, UserAgent: api.UserAgent}, log)
	if err != nil {
		return err
	}
	kernel, err := agent.OpenKernel(time.Now)
	if err != nil {
		return err
	}
	node, err := nodeName(env)
	if err != nil {
		return err
	}
	transport, err := clientgo.New(api)
	if err != nil {
		return err
	}
	groupVersion := group + "/" + version
	client := startup.Client{Transport: transport, Group: groupVersion}
	options := agent.Options{
		Node: node, Group: group, Version: version, API: api, Env: env, File: file,
		Kernel: kernel, Now: time.Now, Log: log, Nodes: client, Tunnels: tunnels(transport, groupVersion, node),
		Defaults: startup.Defaults{
			API: client, Env: env, V3: groupVersion == string(crdstore.V3), IPv6: start.IPv6, Random: rand.Reader,
		},
	}
	if start.Health.Enabled {
		options.HealthAddr = net.JoinHostPort(start.Health.Host, fmt.Sprint(start.Health.Port))
	}
	if start.Metrics.Enabled {
		options.MetricsAddr = net.JoinHostPort(start.Metrics.Host, fmt.Sprint(start.Metrics.Port))
	}
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	log.Info("calico-node starts", "version", buildinfo.Version, "node", options.Node, "api_group", group)
	return a.Run(ctx)
}

// nodeName returns the name of the node.
func nodeName(env map[string]string) (string, error) {
	settings, _ := startup.ParseSettings(env)
	file, err := safeopen.Read(settings.NodeNameFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the name of the node: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("read the name of the host: %w", err)
	}
	return startup.NodeName(env, string(file), host)
}

// labelledFile says that the affinities of the node have labels. The plugins use the same file.
const labelledFile = "/var/run/calico/cni/ipam_upgraded"

// tunnels returns the allocator of tunnel addresses.
func tunnels(transport crdstore.Transport, group, node string) tunneladdr.Addresses {
	store := crdstore.New(transport, crdstore.Group(group), nodestate.Once(labelledFile))
	return tunneladdr.Addresses{
		Allocator: &ipam.Allocator{Store: store, Now: time.Now, Wait: ipam.Backoff(ipam.Sleep, mathrand.Int64N)},
		Cluster:   store, Node: node, Now: time.Now,
	}
}

// discoveryPause is the time between two attempts to find the API group.
const discoveryPause = time.Second

// apiGroup returns the API group of Calico's objects. It waits until the API server answers.
func apiGroup(
	ctx context.Context, env map[string]string, server apigroup.Discovery, log *slog.Logger,
) (group, version string, err error) {
	choice := apigroup.Choice{Configured: env["CALICO_API_GROUP"], Server: server, Now: time.Now, Log: log}
	for err = choice.Find(ctx); err != nil; err = choice.Find(ctx) {
		log.Warn("waiting for the API server", "error", err)
		select {
		case <-ctx.Done():
			return "", "", deadline.Cause(ctx)
		case <-time.After(discoveryPause):
		}
	}
	group, version, ok := strings.Cut(choice.Group(), "/")
	if !ok {
		return "", "", fmt.Errorf("CALICO_API_GROUP=%q: want GROUP/VERSION", choice.Group())
	}
	return group, version, nil
}

// probe asks the running agent on this node.
func probe(ctx context.Context, c command.Command) error {
	env := environment()
	settings := config.Resolve(config.Sources{Env: env}).Config.Health
	ctx, cancel := deadline.Within(ctx, probeTimeout, "the probe")
	defer cancel()
	var errs []error
	for path, asked := range map[string]bool{health.LivenessPath: c.Live, health.ReadinessPath: c.Ready} {
		if asked {
			host := cmp.Or(settings.Host, "localhost")
			errs = append(errs, health.Probe(ctx, http.DefaultClient, host, fmt.Sprint(settings.Port), path))
		}
	}
	return errors.Join(errs...)
}
