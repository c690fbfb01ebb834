// Package pending keeps releases that wait for the API server: one file for each attachment, in a directory of the node.
//
// A DEL that cannot reach the API server adds its release and succeeds. A command that reaches it settles what waits. This
// package knows files and locks, and nothing of how a release is settled.
//
// An address of a release that waits is still taken in the cluster, so that nobody else can get it. The one who must not
// come before the release is an ADD of the very same attachment: it calls SettleOne first. A release is settled at least once:
// after a crash between the settling and the removal of its file, a second time. To settle has to be idempotent, as DEL is.
package pending

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/hostlock"
)

// ErrFull says that as many releases wait as the queue holds.
var ErrFull = errors.New("queue of releases is full")

// Release is what a DEL leaves to be done, as it is on disk. It holds no secret: of the kubeconfig, the path.
type Release struct {
	// Network, ContainerID and IfName are the attachment: the network's name, CNI_CONTAINERID and CNI_IFNAME.
	Network     string `json:"network"`
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifName"`
	// Namespace, Pod and PodUID are empty outside Kubernetes.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	PodUID    string `json:"podUID,omitempty"`
	// Kubeconfig is the path of the file that leads to the API server.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	// Queued is when the release was added.
	Queued time.Time `json:"queued"`
	// Others says that the container still had other interfaces in the network, OtherNetworks that it had some in others.
	Others        bool `json:"others,omitempty"`
	OtherNetworks bool `json:"otherNetworks,omitempty"`
	// Released are the addresses that were given back already, when what comes after that failed: the pod may still say that
	// it has them.
	Released []netip.Addr `json:"released,omitempty"`
}

// Key is one attachment.
type Key struct{ Network, ContainerID, IfName string }

// Key returns the attachment that the release is of.
func (r Release) Key() Key { return Key{r.Network, r.ContainerID, r.IfName} }

// Queue is the queue in a directory, which any number of processes use at once.
type Queue struct {
	// Dir is made with the first release. It has to outlive a reboot of the node, as the addresses do.
	Dir string
	// Limit is how many releases wait at most; 0 stands for 4096.
	Limit int
	Now   func() time.Time
}

const (
	defaultLimit = 4096
	// settleLock is held by the one who settles, filesLock for as long as it takes to write or remove a file.
	settleLock = "settle.lock"
	filesLock  = "files.lock"
	// patience is how long one waits for others to write their files, each an fsync or two, also when the command's time is up.
	patience = 20 * time.Second
)

// Add queues a release, and returns when it would survive a power failure. A release of the same attachment that waits already
// is replaced, but for what it has in Released, which is kept. A Queued that is zero becomes the time of the call. An error wraps ErrFull, hostlock.ErrBusy when others kept the
// directory's lock for 20 s, or what the operating system said; the release may then be queued or not.
func (q Queue) Add(r Release) error {
	if r.Queued.IsZero() {
		r.Queued = q.Now().UTC()
	}
	if err := q.makeDir(); err != nil {
		return fmt.Errorf("make queue of releases: %w", err)
	}
	unlock, err := q.lockFiles()
	if err != nil {
		return fmt.Errorf("queue release: %w", err)
	}
	defer unlock()
	name := r.Key().file()
	if err := q.room(name); err != nil {
		return err
	}
	r.Released = union(r.Released, q.releasedBefore(name))
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode release: %w", err)
	}
	if err := q.write(name, data, r.Queued); err != nil {
		return fmt.Errorf("queue release: %w", err)
	}
	return nil
}

// releasedBefore returns what the file of that name has in Released. One that cannot be read has nothing.
func (q Queue) releasedBefore(name string) []netip.Addr {
	var before Release
	if data, err := os.ReadFile(q.path(name)); err != nil || json.Unmarshal(data, &before) != nil {
		return nil
	}
	return before.Released
}

// union returns the addresses of both, sorted; nil for none.
func union(a, b []netip.Addr) []netip.Addr {
	all := slices.Concat(a, b)
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// room returns ErrFull when the queue has no place for a file of that name.
func (q Queue) room(name string) error {
	limit := q.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	entries, err := q.list()
	if err != nil {
		return fmt.Errorf("count queued releases: %w", err)
	}
	others := len(entries)
	for _, e := range entries {
		if e.Name() == name {
			others--
		}
	}
	if others >= limit {
		return fmt.Errorf("%w: %d wait in %s; the node has to reach the API server: see that it runs, and that the kubeconfig is valid",
			ErrFull, others, q.Dir)
	}
	return nil
}

// write puts a file in place whose modification time is when it was queued: the order in which releases are settled.
func (q Queue) write(name string, data []byte, queued time.Time) error {
	written, err := atomicfile.WriteFile(q.path(name), data, 0o600, func(temporary string) error {
		return os.Chtimes(temporary, time.Time{}, queued)
	})
	if err != nil || written {
		return err
	}
	// The same bytes, of a writer who may have died before this.
	return atomicfile.SyncDir(q.Dir)
}

func (q Queue) makeDir() error {
	parent := filepath.Dir(q.Dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(q.Dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return atomicfile.SyncDir(parent)
}

// Len counts the releases that wait, by one look at the directory. A directory that is not there has none.
func (q Queue) Len() (int, error) {
	entries, err := q.list()
	if err != nil {
		return 0, fmt.Errorf("count queued releases: %w", err)
	}
	return len(entries), nil
}

// list returns the files of releases in no order.
func (q Queue) list() (files []fs.DirEntry, err error) {
	dir, err := os.Open(q.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	entries, err := dir.ReadDir(-1)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, e)
		}
	}
	return files, err
}

func (q Queue) path(name string) string { return filepath.Join(q.Dir, name) }

func (q Queue) lockFiles() (unlock func(), err error) {
	return hostlock.Within(patience, q.path(filesLock))
}
