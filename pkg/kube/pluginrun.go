// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strings"
	"time"

	"calico-cni/internal/deadline"
	"calico-cni/internal/runfault"
	"calico-cni/pkg/kubeapi"
)

// pluginTimeout bounds a run of the program. It is shorter than requestTimeout, so that the error names the program.
const pluginTimeout = 10 * time.Second

// errRun: a plugin fails or prints an invalid credential.
var errRun = errors.New("run the credential plugin (exec) of the kubeconfig")

// runError is an errRun as kubeapi.ErrUnavailable: a retry may help. Its text does not blame the API server.
type runError struct{ cause error }

func (e *runError) Error() string   { return e.cause.Error() }
func (e *runError) Unwrap() []error { return []error{e.cause, kubeapi.ErrUnavailable} }

// run runs the program once and returns the credential that it prints.
func (p *plugin) run(ctx context.Context) (credential, error) {
	info, err := p.info()
	if err != nil {
		return credential{}, errors.New("its cluster cannot be encoded")
	}
	timeout := cmp.Or(p.timeout, pluginTimeout)
	parent := ctx
	ctx, cancel := deadline.Within(ctx, timeout, "the credential plugin")
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
	case ctx.Err() != nil && parent.Err() == nil:
		return credential{}, fmt.Errorf("%s: it does not end within %s; run it on this node without a terminal, and check "+
			"whether it waits for input or for the network", p.name(), timeout)
	case ctx.Err() != nil:
		err = fmt.Errorf("it does not end in time: %w", deadline.Cause(ctx))
	case cmd.Process == nil:
		return credential{}, p.notStarted(err, cmd.Environ())
	default:
		err = runfault.Plain(err)
	}
	return credential{}, fmt.Errorf("%s: %w; check what it prints when it is run on this node", p.name(), err)
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

// maxCredential limits the output of a plugin, in bytes.
const maxCredential = 1 << 20

var errTooMuch = errors.New("its output exceeds 1 MiB")

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
