// Package adding marks the attachments that commands of this host are adding, so that a collector of leftovers, which
// is another process, spares them. CNI forbids a runtime to run both at once (specification 1.1.0, section 2, "GC"),
// but what a mistake would cost is a running pod's address.
package adding

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"calico-cni/internal/safeopen"
)

// Marks is the directory of the marks. They need not outlive the host's uptime.
type Marks string

// Key names an attachment.
type Key struct{ Network, ContainerID, IfName string }

// Begin marks an attachment as being added from now on. end says that it is no more; so does the end of the process,
// however it comes. The mark itself, and with it the time when it was last being added, stays until Forget.
func (m Marks) Begin(k Key, now func() time.Time) (end func(), err error) {
	if err := os.MkdirAll(string(m), 0o755); err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	f, _, err := safeopen.File(m.path(k), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("mark attachment as being added: %w", err)
	}
	// Shared: a second ADD of the same attachment, which a runtime should not call, is being added as well.
	stamp := func() error { return os.Chtimes(f.Name(), now(), now()) }
	if err := errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), stamp()); err != nil {
		return nil, errors.Join(fmt.Errorf("mark attachment as being added: %w", err), f.Close())
	}
	// Stamped while it is still locked: whoever looks sees the one or the other.
	return func() { _ = errors.Join(stamp(), f.Close()) }, nil
}

// Forget removes the mark of an attachment that is gone.
func (m Marks) Forget(k Key) { _ = os.Remove(m.path(k)) }

// Since reports whether an attachment is being added now, or was at or after start.
func (m Marks) Since(k Key, start time.Time) bool {
	f, _, err := safeopen.File(m.path(k), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	// The lock first: it goes after the stamp has come.
	if errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK) {
		return true
	}
	info, err := f.Stat()
	return err == nil && !info.ModTime().Before(start)
}

// path is a hash, for a network's name and a container's ID may each be as long as a file's name.
func (m Marks) path(k Key) string {
	sum := sha1.Sum([]byte(k.Network + "/" + k.ContainerID + "/" + k.IfName))
	return filepath.Join(string(m), hex.EncodeToString(sum[:]))
}
