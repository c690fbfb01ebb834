package nodeipam

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/internal/adding"
	"calico-cni/internal/bootclock"
	"calico-cni/internal/deletion"
	"calico-cni/internal/oncefile"
	"calico-cni/internal/trouble"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/pending"
)

// Where the plugins keep what they remember from one command to the next.
const (
	// DefaultState is for what need not outlive a boot. Calico's plugin has a file here that ours reads and writes.
	DefaultState = "/var/run/calico/cni"
	// DefaultKeep is for what has to outlive it.
	DefaultKeep = "/var/lib/calico/cni"
)

// Host is what a plugin takes from the host that it runs on.
type Host struct {
	// Now is the wall clock. It may be set at any time, so that nothing is decided by it but whether a certificate is valid.
	Now func() time.Time
	// Boot is the time since boot; nil stands for the kernel's.
	Boot     func() time.Duration
	ReadFile func(path string) ([]byte, error)
	Hostname func() (string, error)
	// UserAgent is what the API server's audit log shows.
	UserAgent string
	// OpenLog returns the log for a command of a configuration, nil for one that could not be read.
	OpenLog func(*netconf.NetConf) *slog.Logger
	// OnSignal, if not nil, makes a signal cancel the context of the command. It is called, once or more, before the first
	// effect of an ADD and before the first request of every command.
	OnSignal func()
	// State and Keep are directories, DefaultState and DefaultKeep outside of tests.
	State, Keep string
}

// labelled is where plugins of this kind remember that the node's affinities have labels. Calico's looks there too.
func (h Host) labelled() oncefile.File { return oncefile.File(filepath.Join(h.State, "ipam_upgraded")) }

// Adding has the marks of attachments that are being added.
func (h Host) Adding() adding.Marks {
	return adding.Marks{Dir: filepath.Join(h.State, "adding"), Boot: h.boot}
}

// deletions has the records of attachments that a DEL has released.
func (h Host) deletions() deletion.Records {
	return deletion.Records{Dir: filepath.Join(h.State, "deleted"), Boot: h.boot}
}

func (h Host) onSignal() {
	if h.OnSignal != nil {
		h.OnSignal()
	}
}

func (h Host) boot() time.Duration {
	if h.Boot == nil {
		return bootclock.Now()
	}
	return h.Boot()
}

func (h Host) trouble() trouble.Dir { return trouble.Dir(filepath.Join(h.State, "trouble")) }

func (h Host) queue() pending.Queue {
	return pending.Queue{Dir: filepath.Join(h.Keep, "pending"), Now: h.Now, Pace: h.pace()}
}

// pace spaces the settling of queued releases.
func (h Host) pace() *pending.Pace {
	return &pending.Pace{File: filepath.Join(h.State, "settling"), Boot: h.boot, Random: rand.Float64}
}

func (h Host) borrowed() borrowed { return borrowed(filepath.Join(h.Keep, "borrowed")) }

func (h Host) remembered(client *kube.Client, blocks blockCodec) remembered {
	return remembered{dir: filepath.Join(h.State, "blocks"), cluster: client.Host(), blocks: blocks, boot: h.boot}
}

// ErrNotUp says that something which the node has to provide before pods can come is not there yet, or not as it should be. A retry cures it.
var ErrNotUp = errors.New("node is not up")

// NodeName returns the name of the Kubernetes node. The nodename file is the node agent's sign of life, so that its
// absence is an error that wraps ErrNotUp even where the configuration has the name, unless the file is optional.
func (h Host) NodeName(conf *netconf.NetConf) (string, error) {
	data, err := h.ReadFile(conf.NodenameFile)
	switch {
	case conf.NodenameFileOptional:
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w: %s does not exist: the node agent writes it; see that the calico-node pod runs on this node "+
			"and mounts /var/lib/calico, or set nodename_file_optional", ErrNotUp, conf.NodenameFile)
	case err != nil:
		return "", fmt.Errorf("%w: read nodename file: %w", ErrNotUp, err)
	}
	for _, name := range []string{conf.Nodename, strings.TrimSpace(string(data)), conf.Hostname} {
		if name != "" {
			return name, nil
		}
	}
	name, err := h.Hostname()
	name = strings.ToLower(strings.TrimSpace(name))
	if err == nil && name == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", fmt.Errorf("read host name: %w; set nodename in the CNI configuration", err)
	}
	return name, nil
}
