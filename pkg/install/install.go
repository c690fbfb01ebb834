// Package install puts the plugins on a node: the binaries, then the kubeconfig that they use, and last the network
// configuration, which is what makes the container runtime call them. Every file appears whole or not at all, and one
// that is as it should be is not touched. It also keeps them so, tells how they are, and takes them away again.
package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/internal/deadline"
)

// fileMode is that of the kubeconfig and of the network configuration, as Calico has it: either may hold a token.
const fileMode fs.FileMode = 0o600

// staleAfter is the age at which the temporary of a writer that was killed is removed. No live writer takes as long.
const staleAfter = 10 * time.Minute

// TokenSource issues tokens of the service account that the plugins act as, and says whether the API server takes them.
type TokenSource interface {
	// Token returns a bearer token, bound to the node where the API server supports that, and when it expires. An error names
	// the account and the cure, and shows no token.
	Token(ctx context.Context, node string) (token string, expires time.Time, err error)
	// Accepted makes a request with the credentials of a kubeconfig file. An error wraps ErrRefused when the API server
	// does not know them; any other error says nothing about them.
	Accepted(ctx context.Context, kubeconfig string) error
}

// Backlog is the releases that wait on the node for the API server.
type Backlog interface {
	// Len counts them.
	Len() (int, error)
	// Delayed says that the API server is back, and that this node still waits so that not all nodes settle at once.
	Delayed() bool
	// Settle settles some, and returns how many.
	Settle(ctx context.Context) (done int, err error)
}

// Deps are what Run needs of the world beside files.
type Deps struct {
	Tokens TokenSource
	// Backlog is for watching and uninstalling; nil when nobody settles.
	Backlog  Backlog
	Hostname func() (string, error)
	// LinkMTU returns the MTU of the link of the default route, in bytes.
	LinkMTU func() (int, error)
	Now     func() time.Time
	// Spread is a random number in [0, 1) for each token, so that nodes do not renew all at once.
	Spread func() float64
	// Wake says that something may have changed; Watch also looks whenever it comes without reason. It has to come every
	// few seconds for a token to be renewed in time.
	Wake <-chan struct{}
	// Out takes what status and a dry run print.
	Out io.Writer
	Log *slog.Logger
}

// Run does what the configuration says: it installs, watches, uninstalls, or tells the status. What the configuration or
// the template has wrong is said before anything is written, with an error that wraps ErrConfig or conflist.ErrInvalid;
// other errors name the step and the cure.
func Run(ctx context.Context, cfg Config, deps Deps) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	warnings := cfg.tolerate()
	if cfg.Verb == VerbInstall {
		for _, warning := range warnings {
			deps.Log.Warn("a value of the plugins' log is replaced: " + warning)
		}
	}
	i := &installer{cfg: cfg, deps: deps, verified: map[string]stamp{}}
	switch {
	case cfg.Verb == VerbStatus:
		return i.status()
	case cfg.Verb == VerbUninstall:
		return i.uninstall(ctx)
	case cfg.DryRun:
		return i.plan(ctx)
	case cfg.Watch:
		return i.watch(ctx)
	}
	if err := i.install(ctx); err != nil {
		return err
	}
	if cfg.Sleep {
		deps.Log.Info("installed; waiting for the signal to stop")
		<-ctx.Done()
	}
	return nil
}

// install takes the steps, each of which is nothing when all is as it should be. The first three write nothing: what can be
// refused, by the plugins, the host or the API server, is refused before a file changes. A later step that fails leaves what
// those before it installed, and nothing of those behind it.
func (i *installer) install(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"prepare", i.prepare},
		{"check", i.check},
		{"request credentials", i.credentials},
		{"install binaries", func(ctx context.Context) error { i.sweep(i.cfg.netDir()); return i.binaries(ctx) }},
		{"provide node files", i.nodeFiles},
		{"install kubeconfig", i.kubeconfig},
		{"install network configuration", i.conflist},
		{"remove old network configuration", i.removeOld},
		{"move other network configurations aside", i.exclude},
		{"write record", func(context.Context) error { return i.save() }},
	} {
		if err := deadline.Cause(ctx); err != nil {
			return fmt.Errorf("%s: interrupted: %w; installing again takes it up from here", step.name, err)
		}
		if err := step.run(ctx); err != nil {
			return fmt.Errorf("%s: %w%s", step.name, err, cure(err))
		}
	}
	return nil
}

type installer struct {
	cfg  Config
	deps Deps
	// values and template come from prepare; the token of values from kubeconfig.
	values   conflist.Values
	template string

	record     record
	credential credential
	// renewed is told of every attempt to renew the token; nil when nobody listens.
	renewed func(expires time.Time, err error)
	// settled is set once a watching process has installed: from then on it keeps what there is, or what is newer.
	settled bool
	// image are the binaries to install, once they are listed; verified has those on the host that were found equal.
	image    []binary
	verified map[string]stamp
	// sums are those of files on the host that had to be read, by path.
	sums map[string]stamped
}

// prepare reads what has to be read and refuses what can be refused before anything is written.
func (i *installer) prepare(context.Context) error {
	if err := i.read(); err != nil {
		return err
	}
	return i.tryConflist()
}

// read takes in record, template and values.
func (i *installer) read() error {
	if err := directory(i.cfg.netDir()); err != nil {
		return fmt.Errorf("find the mount of the host's %s: %w; mount it there, or set --host-root", i.cfg.NetDir, err)
	}
	nodeName, err := i.nodeName()
	if err != nil {
		return err
	}
	if i.template, err = i.readTemplate(); err != nil {
		return err
	}
	i.values = i.cfg.values(nodeName)
	i.values.Token = i.credential.token
	i.remember()
	return nil
}

func (i *installer) nodeName() (string, error) {
	if i.cfg.NodeName != "" {
		return i.cfg.NodeName, nil
	}
	name, err := i.deps.Hostname()
	if err != nil {
		return "", fmt.Errorf("read host name: %w; set KUBERNETES_NODE_NAME", err)
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if err := subdomain("the host's name", name); err != nil {
		return "", fmt.Errorf("%w: KUBERNETES_NODE_NAME is empty: %w", ErrConfig, err)
	}
	return name, nil
}

// readTemplate returns the user's template, empty when there is none. The file goes before the text, as with Calico.
func (i *installer) readTemplate() (string, error) {
	if i.cfg.NetworkConfigFile == "" {
		return i.cfg.NetworkConfig, nil
	}
	data, err := os.ReadFile(i.cfg.NetworkConfigFile)
	if err != nil {
		return "", fmt.Errorf("%w: CNI_NETWORK_CONFIG_FILE: %w; mount the file there, or unset the variable to use the built-in configuration", ErrConfig, err)
	}
	if strings.TrimSpace(string(data)) == "" {
		return "", fmt.Errorf("%w: CNI_NETWORK_CONFIG_FILE %s is empty", ErrConfig, i.cfg.NetworkConfigFile)
	}
	return string(data), nil
}

func (i *installer) removeOld(context.Context) error {
	path := i.cfg.oldConfPath()
	if path == "" {
		return nil
	}
	err := os.Remove(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	i.deps.Log.Info("old network configuration is removed", "path", path)
	return nil
}

// sweep removes what killed predecessors left. It is no reason not to install.
func (i *installer) sweep(dir string) {
	if err := atomicfile.Sweep(dir, i.deps.Now().Add(-staleAfter)); err != nil {
		i.deps.Log.Warn("temporary files of an earlier run stay", "dir", dir, "error", err)
	}
}

func directory(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	return err
}

// values are what the configuration says to the template. The token is not known yet.
func (c Config) values(nodeName string) conflist.Values {
	return conflist.Values{
		NodeName: nodeName, Kubeconfig: c.HostKubeconfig(),
		MTU: c.MTU, RequireMTUFile: c.RequireMTUFile, AssignIPv4: c.AssignIPv4, AssignIPv6: c.AssignIPv6,
		LogLevel: c.LogLevel, LogFilePath: c.LogFilePath,
		LogFileMaxSize: c.LogFileMaxSize, LogFileMaxAge: c.LogFileMaxAge, LogFileMaxCount: c.LogFileMaxCount,
		DatastoreType: cmp.Or(c.DatastoreType, kubernetesDatastore), APIGroup: cmp.Or(c.APIGroup, crdGroup),
		ServiceHost: c.ServiceHost, ServicePort: c.ServicePort,
	}
}
