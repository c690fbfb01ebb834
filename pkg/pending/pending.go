// SPDX-License-Identifier: Apache-2.0

// Package pending keeps releases that wait for the API server: one file for each attachment, in a directory of the
// node.
//
// A DEL that cannot reach the API server adds its release and succeeds. A command that reaches it settles what waits.
// This package knows files and locks, and nothing of how a release is settled.
//
// The address of a release that waits is still allocated in the cluster, so that no other pod can get it. Only an ADD
// of the same attachment must not overtake the release: it calls Exclude and then SettleOne before it allocates. A
// release is settled at least once: after a crash between the settling and the removal of its file, a second time. To
// settle has to be idempotent, as DEL is.
//
// No decision depends on the wall clock, which may be set at any time. The order of the releases is that in which they
// were added or last tried.
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
	"calico-cni/internal/hostdir"
	"calico-cni/internal/hostlock"
	"calico-cni/internal/nodestate"
	"calico-cni/internal/safeopen"
)

var (
	// ErrFull says that as many releases wait as the queue holds.
	ErrFull = errors.New("queue of releases is full")
	// ErrSuperseded says that an ADD of the attachment has begun since the DEL did.
	ErrSuperseded = errors.New("an ADD of the same attachment has begun since")
	// ErrVersion says that a later version of the plugins wrote a release.
	ErrVersion = errors.New("format is newer than this plugin")
)

// version is the format of a release on disk. Files of the releases before it have none.
const version = 1

// Release is what a DEL leaves to be done, as it is on disk. It holds no secret: of the kubeconfig, the path.
type Release struct {
	// Version is set by Add.
	Version int `json:"version,omitempty"`
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
	// APIRoot is the URL of the API server, without a password, where the configuration names no kubeconfig.
	APIRoot string `json:"apiRoot,omitempty"`
	// Node is the name of the node that queued the release, empty when the DEL could not tell.
	Node string `json:"node,omitempty"`
	// Queued is when the release was added, by the wall clock: for people alone.
	Queued time.Time `json:"queued"`
	// Others says that the container still had other interfaces in the network, OtherNetworks that it had some in
	// others.
	Others        bool `json:"others,omitempty"`
	OtherNetworks bool `json:"otherNetworks,omitempty"`
	// OthersUnknown says that Others is set because it is not known whether there are others.
	OthersUnknown bool `json:"othersUnknown,omitempty"`
	// Addresses are those that the runtime said the attachment had, none where it did not say.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// ReleasedBefore says that an earlier DEL has released what was certainly the attachment's.
	ReleasedBefore bool `json:"releasedBefore,omitempty"`
	// Released are the addresses that were given back already, when what comes after that failed: the pod may still say
	// that it has them.
	Released []netip.Addr `json:"released,omitempty"`
}

// elsewhere reports whether two releases name different API servers. One that names none may be of any.
func (r Release) elsewhere(other Release) bool {
	known := func(r Release) bool { return r.Kubeconfig != "" || r.APIRoot != "" }
	return known(r) && known(other) && (r.Kubeconfig != other.Kubeconfig || r.APIRoot != other.APIRoot)
}

// Key returns the attachment of the release.
func (r Release) Key() nodestate.Key {
	return nodestate.Key{Network: r.Network, ContainerID: r.ContainerID, IfName: r.IfName}
}

// Queue is the queue in a directory, which any number of processes use at once.
type Queue struct {
	// Dir is made with the first release. It has to outlive a reboot of the node, as the addresses do.
	Dir string
	// Limit is how many releases wait at most; 0 stands for 4096.
	Limit int
	// Now is the wall clock.
	Now func() time.Time
	// Pace spaces what Settle settles; nil for no limit.
	Pace *Pace
}

const (
	defaultLimit = 4096
	// settleLock is locked by the process that runs Settle, and a part of it by whatever process settles a release; the
	// part is named by the release's file. filesLock is locked for as long as it takes to write or remove a file.
	settleLock = "settle.lock"
	filesLock  = "files.lock"
	// patience is how long one waits for others to write their files, each an fsync or two, also when the command's
	// time is up.
	patience = 20 * time.Second
)

// Add queues a release, and returns when it would survive a power failure. A release of the same attachment that waits
// already is replaced, but for its Addresses and Released, which are kept; one of a later version of the plugins is
// left as it is, and so is one that names another API server. A Queued that is zero becomes the time of the call. An
// error wraps ErrFull, hostlock.ErrBusy when others kept the directory's lock for 20 s, or what the operating system
// said; the release may then be queued or not.
func (q Queue) Add(r Release) error { return q.AddIf(r, func() bool { return true }) }

// AddIf is Add provided that current returns true while Exclude keeps others out; else the error wraps ErrSuperseded.
func (q Queue) AddIf(r Release, current func() bool) error {
	r.Version = version
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
	if !current() {
		return fmt.Errorf("queue release: %w: the runtime has to call DEL again after that ADD", ErrSuperseded)
	}
	name := fileName(r.Key())
	before, err := q.before(name)
	if err == nil && before.elsewhere(r) {
		name = r.fileBeside()
		before, err = q.before(name)
	}
	if errors.Is(err, ErrVersion) {
		return nil
	}
	if err := q.room(name); err != nil {
		return err
	}
	if r.Kubeconfig == "" && r.APIRoot == "" {
		r.Kubeconfig, r.APIRoot = before.Kubeconfig, before.APIRoot
	}
	r.Released = union(r.Released, before.Released)
	r.Addresses = union(r.Addresses, before.Addresses)
	r.ReleasedBefore = r.ReleasedBefore || before.ReleasedBefore
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode release: %w", err)
	}
	if err := q.write(name, data); err != nil {
		return fmt.Errorf("queue release: %w", hostdir.Explain(q.Dir, err))
	}
	return nil
}

// Exclude runs do while no process can add a release. An ADD runs so what makes the releases of earlier DELs obsolete
// that are not queued yet; SettleOne then finds all that were.
func (q Queue) Exclude(do func() error) error {
	if err := q.makeDir(); err != nil {
		return fmt.Errorf("make queue of releases: %w", err)
	}
	unlock, err := q.lockFiles()
	if err != nil {
		return fmt.Errorf("lock queue of releases: %w", err)
	}
	defer unlock()
	return do()
}

// before returns the release in the file of that name. One that cannot be read has nothing. An error wraps ErrVersion.
func (q Queue) before(name string) (Release, error) {
	var before Release
	if data, err := safeopen.Read(q.path(name)); err != nil || json.Unmarshal(data, &before) != nil {
		return Release{}, nil
	}
	if before.Version > version {
		return Release{}, ErrVersion
	}
	return before, nil
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
		return fmt.Errorf("%w: %d wait in %s; the node has to reach the API server: see that it runs, and that the "+
			"kubeconfig is valid",
			ErrFull, others, q.Dir)
	}
	return nil
}

// write puts a file in place as the last in the order of settling.
func (q Queue) write(name string, data []byte) error {
	last, err := q.last()
	if err != nil {
		return err
	}
	written, err := atomicfile.WriteFile(q.path(name), data, 0o600, func(temporary string) error {
		return os.Chtimes(temporary, time.Time{}, last)
	})
	if err != nil || written {
		return err
	}
	// The same bytes, of a writer who may have died before this.
	return atomicfile.SyncDir(q.Dir)
}

// last returns a modification time that is later than those which it returned before, whatever the clock says. The
// lock's file, which the caller has locked, keeps it.
func (q Queue) last() (time.Time, error) {
	info, err := os.Stat(q.path(filesLock))
	if err != nil {
		return time.Time{}, err
	}
	next := info.ModTime().Add(time.Microsecond)
	return next, os.Chtimes(q.path(filesLock), time.Time{}, next)
}

func (q Queue) makeDir() error {
	parent := filepath.Dir(q.Dir)
	if err := hostdir.Make(parent, 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(q.Dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return hostdir.Explain(parent, err)
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

// Has reports whether a release of the attachment waits, by one look at a file.
func (q Queue) Has(k nodestate.Key) (bool, error) {
	switch _, err := os.Lstat(q.path(fileName(k))); {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for a queued release: %w", hostdir.Explain(q.Dir, err))
	}
	return true, nil
}

// list returns the files of releases in no order.
func (q Queue) list() (files []fs.DirEntry, err error) {
	dir, err := safeopen.Dir(q.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, hostdir.Explain(q.Dir, err)
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
