// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// plugin is a credential plugin (client.authentication.k8s.io). It gets no standard input, whatever interactiveMode
// says, because standard input of a CNI plugin is the network configuration. Its standard error is discarded.
//
// Source: the Kubernetes reference, "Client Authentication (v1)".
type plugin struct {
	APIVersion string   `json:"apiVersion"`
	Command    string   `json:"command"`
	Args       []string `json:"args"`
	Env        []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`
	InstallHint        string `json:"installHint"`
	ProvideClusterInfo bool   `json:"provideClusterInfo"`
	InteractiveMode    string `json:"interactiveMode"`

	// cluster is passed to the program if the kubeconfig requests that.
	cluster cluster
	// mu is held while the program runs, so that it runs once for concurrent requests.
	mu sync.Mutex
	// got is the last printed credential; refused says that the server rejected it.
	got     *credential
	refused bool
	// runs counts the runs; failed is the error of the last one.
	runs   atomic.Int64
	failed error
	// timeout bounds one run; 0 means pluginTimeout.
	timeout time.Duration
}

// check validates the configuration of the plugin. In version v1beta1 interactiveMode has a default.
func (p *plugin) check() error {
	switch {
	case p.Command == "":
		return errPluginCommand
	case p.APIVersion != pluginGroup+"v1" && p.APIVersion != pluginGroup+"v1beta1":
		return errPluginVersion
	}
	for _, e := range p.Env {
		if e.Name == "" {
			return errPluginEnv
		}
	}
	switch p.InteractiveMode {
	case "Never", "IfAvailable", "Always":
		return nil
	case "":
		if p.APIVersion != pluginGroup+"v1" {
			return nil
		}
	}
	return errPluginMode
}

// pluginGroup is the API group in the apiVersion of a plugin, with the slash.
const pluginGroup = "client.authentication.k8s.io/"

// last returns the last credential of the plugin, nil before the first run.
func (p *plugin) last() *credential {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// credential returns the last credential of the plugin. It runs the plugin if there is none or if the server rejected
// it.
func (p *plugin) credential(ctx context.Context) (*credential, error) {
	before := p.runs.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.got != nil && !p.refused {
		return p.got, nil
	}
	if p.runs.Load() != before && p.failed != nil {
		return nil, p.failed // of the run that this request waited for
	}
	got, err := p.run(ctx)
	p.runs.Add(1)
	if p.failed = nil; err != nil {
		p.failed = fmt.Errorf("%w: %w", errRun, err)
		return nil, p.failed
	}
	p.got, p.refused = &got, false
	return p.got, nil
}

// refuse records that the server rejects a credential, so that the plugin runs again for the next request. The server
// decides when a credential expires, not the clock of the node.
func (p *plugin) refuse(c *credential) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = p.refused || p.got == c
}
