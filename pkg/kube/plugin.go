// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/runfault"
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
	// patience bounds one run; 0 means pluginPatience.
	patience time.Duration
}

// pluginPatience bounds a run of the program. It is shorter than requestTimeout, so that the error names the program.
const pluginPatience = 10 * time.Second

// credential is the output of a plugin.
type credential struct {
	token       string
	certificate *tls.Certificate
}

// execCredential is the object that the plugin and the client exchange.
type execCredential struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Cluster     *execCluster `json:"cluster,omitempty"`
		Interactive bool         `json:"interactive"`
	} `json:"spec"`
	Status *struct {
		Token       string `json:"token"`
		Certificate string `json:"clientCertificateData"`
		Key         string `json:"clientKeyData"`
	} `json:"status,omitempty"`
}

// execCluster describes a cluster to a plugin.
type execCluster struct {
	cluster
	Config json.RawMessage `json:"config,omitempty"`
}

// configExtension is the extension of a cluster in a kubeconfig that is passed to plugins.
const configExtension = "client.authentication.k8s.io/exec"

// errRun: a plugin fails or prints an invalid credential.
var errRun = errors.New("run the credential plugin (exec) of the kubeconfig")

// runError is an errRun as ErrUnavailable: a retry may help. Its text does not blame the API server.
type runError struct{ cause error }

func (e *runError) Error() string   { return e.cause.Error() }
func (e *runError) Unwrap() []error { return []error{e.cause, ErrUnavailable} }

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

func (p *plugin) run(ctx context.Context) (credential, error) {
	info, err := p.info()
	if err != nil {
		return credential{}, errors.New("its cluster cannot be encoded")
	}
	patience := cmp.Or(p.patience, pluginPatience)
	command := ctx
	ctx, cancel := deadline.Within(ctx, patience, "the credential plugin")
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Command, p.Args...)
	cmd.WaitDelay = time.Second
	cmd.Env = cmd.Environ()
	for _, e := range p.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.Env = append(cmd.Env, "KUBERNETES_EXEC_INFO="+string(info))
	var out bounded
	cmd.Stdout = &out
	err = cmd.Run()
	switch {
	case out.full:
		err = errTooMuch
	case err == nil:
		var got credential
		if got, err = p.decode(out.buffer.Bytes()); err == nil {
			return got, nil
		}
	case ctx.Err() != nil && command.Err() == nil:
		return credential{}, fmt.Errorf("%s: it does not end within %s; run it on this node without a terminal, and see "+
			"whether it waits for input or for the network", p.name(), patience)
	case ctx.Err() != nil:
		err = fmt.Errorf("it does not end in time: %w", deadline.Cause(ctx))
	case cmd.Process == nil:
		return credential{}, p.notStarted(err, cmd.Environ())
	default:
		err = runfault.Plain(err)
	}
	return credential{}, fmt.Errorf("%s: %w; see what it prints when it is run on this node", p.name(), err)
}

// notStarted says why the program cannot be started, with the remedy.
func (p *plugin) notStarted(err error, environ []string) error {
	reason, remedy := runfault.Plain(err).Error(), "make it a program that this node can run"
	switch {
	case errors.Is(err, exec.ErrNotFound):
		for _, variable := range environ {
			if path, ok := strings.CutPrefix(variable, "PATH="); ok {
				reason += " (" + path + ")"
			}
		}
		remedy = "install it on this node, or write its full path as command"
	case errors.Is(err, fs.ErrNotExist):
		remedy = "install it on this node, or correct command"
	case errors.Is(err, fs.ErrPermission):
		remedy = "make it executable (chmod +x), on a file system that permits it"
	}
	if hint := oneLine(p.InstallHint); hint != "" {
		remedy += "; the kubeconfig says: " + hint
	}
	return fmt.Errorf("%s: %s; %s", p.name(), reason, remedy)
}

// name returns the command for messages.
func (p *plugin) name() string { return oneLine(p.Command) }

// oneLine returns a text of the kubeconfig on one line, with at most 300 bytes.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.ToValidUTF8(text[:min(len(text), 300)], "")
}

// info returns what the program gets in its environment.
func (p *plugin) info() ([]byte, error) {
	object := execCredential{APIVersion: p.APIVersion, Kind: "ExecCredential"}
	if p.ProvideClusterInfo {
		told := &execCluster{cluster: p.cluster}
		told.CAFile, told.Extensions = "", nil
		for _, e := range p.cluster.Extensions {
			if e.Name == configExtension {
				told.Config = e.Extension
			}
		}
		object.Spec.Cluster = told
	}
	return json.Marshal(object)
}

// decode decodes the output of the program. Its errors do not quote the output.
func (p *plugin) decode(printed []byte) (credential, error) {
	var object execCredential
	if len(bytes.TrimSpace(printed)) == 0 {
		return credential{}, errors.New("it prints nothing")
	}
	if err := json.Unmarshal(printed, &object); err != nil || object.Kind != "ExecCredential" {
		return credential{}, errors.New("it prints no ExecCredential")
	}
	if object.APIVersion != p.APIVersion {
		return credential{}, errors.New("it prints an ExecCredential of another apiVersion than the kubeconfig has")
	}
	if object.Status == nil {
		return credential{}, errors.New("it prints an ExecCredential without status")
	}
	status := object.Status
	got := credential{token: strings.TrimSpace(status.Token)}
	switch {
	case got.token == "" && status.Certificate+status.Key == "":
		return credential{}, errors.New("it prints neither a token nor a client certificate")
	case (status.Certificate == "") != (status.Key == ""):
		return credential{}, errors.New("it prints only one of clientCertificateData and clientKeyData")
	case !isToken(got.token):
		return credential{}, fmt.Errorf("it prints an unusable token: %w", errNotToken)
	}
	if status.Certificate != "" {
		pair, err := keyPair([]byte(status.Certificate), []byte(status.Key))
		if err != nil {
			return credential{}, fmt.Errorf("it prints an unusable client certificate: %w", err)
		}
		got.certificate = &pair
	}
	return got, nil
}

// maxCredential limits the output of a plugin, in bytes.
const maxCredential = 1 << 20

var errTooMuch = errors.New("it prints too much")

// bounded accepts at most maxCredential bytes. It does not embed the buffer, whose ReadFrom would ignore the limit.
type bounded struct {
	buffer bytes.Buffer
	full   bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.full = b.buffer.Len()+len(p) > maxCredential; b.full {
		return 0, errTooMuch
	}
	return b.buffer.Write(p)
}
