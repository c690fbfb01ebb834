package install

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/buildinfo"
)

// binaryMode is that of installed binaries.
const binaryMode fs.FileMode = 0o755

// writable is W_OK of access(2).
const writable = 0x2

// plugins are the binaries of this project: they have to be there, and they have to answer VERSION.
var plugins = []string{"calico", "calico-ipam"}

// binary is a file to install. sum is the SHA-256 of its bytes.
type binary struct {
	name string
	path string
	sum  [32]byte
}

// binaries brings every directory of the host that is there up to date. One at least has to hold all of them.
func (i *installer) binaries(ctx context.Context) error {
	wanted, err := i.wanted()
	if err != nil {
		return err
	}
	complete := false
	for _, dir := range i.cfg.binDirs() {
		ok, err := i.fillDir(ctx, dir, wanted)
		if err != nil {
			return err
		}
		complete = complete || ok
	}
	if !complete {
		return i.noBinaries()
	}
	return nil
}

func (i *installer) noBinaries() error {
	return fmt.Errorf("%w: none of %s holds them all and can be written; mount the runtime's binary directory at the first, read-write",
		ErrBinaries, strings.Join(i.cfg.binDirs(), ", "))
}

// wanted lists the files of the source directory but for those to skip and the installer itself.
func (i *installer) wanted() ([]binary, error) {
	if i.image != nil {
		return i.image, nil
	}
	entries, err := os.ReadDir(i.cfg.BinSource)
	if err != nil {
		return nil, fmt.Errorf("list binaries to install: %w; set --bin-source", err)
	}
	var wanted []binary
	missing := slices.DeleteFunc(slices.Clone(plugins), i.skips)
	for _, e := range entries {
		b := binary{name: e.Name(), path: filepath.Join(i.cfg.BinSource, e.Name())}
		info, err := os.Stat(b.path)
		if err != nil {
			return nil, fmt.Errorf("look at binary to install: %w", err)
		}
		if !info.Mode().IsRegular() || b.name == "install" || strings.HasPrefix(b.name, ".") || i.skips(b.name) {
			continue
		}
		if b.sum, err = sum(b.path); err != nil {
			return nil, fmt.Errorf("read binary to install: %w", err)
		}
		wanted = append(wanted, b)
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == b.name })
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%w: %s lacks %s; set --bin-source, or leave them out by SKIP_CNI_BINARIES", ErrConfig, i.cfg.BinSource, strings.Join(missing, ", "))
	}
	i.image = wanted
	return wanted, nil
}

func (i *installer) skips(name string) bool {
	return slices.ContainsFunc(i.cfg.SkipBinaries, func(s string) bool { return strings.TrimSpace(s) == name })
}

// fillDir brings one directory up to date and says whether it then holds what is wanted. A directory that is absent or
// cannot be written is left to the others; what can be written and is not is an error.
func (i *installer) fillDir(ctx context.Context, dir string, wanted []binary) (complete bool, err error) {
	if err := directory(dir); errors.Is(err, fs.ErrNotExist) {
		i.deps.Log.Info("no such binary directory", "dir", dir)
		return false, nil
	} else if err != nil {
		return false, err
	}
	if err := syscall.Access(dir, writable); err != nil {
		lacking, checkErr := i.lacking(dir, wanted)
		i.deps.Log.Warn("binary directory cannot be written", "dir", dir, "error", err, "lacking", lacking)
		return len(lacking) == 0 && checkErr == nil, checkErr
	}
	i.sweep(dir)
	lacking, err := i.lacking(dir, wanted)
	if err != nil {
		return false, err
	}
	todo := slices.DeleteFunc(slices.Clone(wanted), func(b binary) bool { return !slices.Contains(lacking, b.name) })
	if err := i.enter(dir, todo); err != nil {
		return false, err
	}
	for _, b := range todo {
		if _, err := atomicfile.CopyFile(filepath.Join(dir, b.name), b.path, binaryMode, i.checks(ctx, b)...); err != nil {
			return false, err
		}
	}
	for _, line := range i.staying(dir, wanted) {
		i.deps.Log.Warn(line)
	}
	i.deps.Log.Info("binaries are in place", "dir", dir, "written", lacking)
	return true, nil
}

// enter puts the binaries of a directory into the record, before they are written.
func (i *installer) enter(dir string, binaries []binary) error {
	entered := false
	for _, b := range binaries {
		if i.record.enter(i.name(filepath.Join(dir, b.name)), b.sum) {
			i.record.Versions[hex.EncodeToString(b.sum[:])], entered = buildinfo.Version, true
		}
	}
	if !entered {
		return nil
	}
	return i.save()
}

func canWrite(dir string) bool { return syscall.Access(dir, writable) == nil }

// lacking names the binaries that the directory does not hold as they should be. Without UpdateBinaries it is enough
// that something of that name is there; and one that a newer installer wrote may have to stay.
func (i *installer) lacking(dir string, wanted []binary) ([]string, error) {
	lacking := []string{}
	for _, b := range wanted {
		path := filepath.Join(dir, b.name)
		ok, err := i.holds(path, b)
		if err != nil {
			return nil, err
		}
		if !ok && i.stays(path) == "" {
			lacking = append(lacking, b.name)
		}
	}
	return lacking, nil
}

func (i *installer) holds(path string, b binary) (bool, error) {
	if !i.cfg.UpdateBinaries {
		_, err := os.Lstat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return err == nil, err
	}
	if before, ok := i.verified[path]; ok && before == stampOf(path) {
		return true, nil
	}
	if before, ok := i.sums[path]; ok && before.of == stampOf(path) && before.sum != b.sum {
		return false, nil
	}
	source, err := os.Open(b.path)
	if err != nil {
		return false, err
	}
	defer func() { _ = source.Close() }()
	// Taken before the bytes are read: what changes meanwhile changes it, and is looked at again.
	now := stampOf(path)
	same, err := atomicfile.Holds(path, source, acceptable(path))
	if same && i.trusted(now) {
		i.verified[path] = now
	}
	return same, err
}

// trusted says that a file whose stamp this still is has not changed. Of a link, the stamp says nothing.
func (i *installer) trusted(s stamp) bool {
	return s.mode&syscall.S_IFMT == syscall.S_IFREG && i.deps.Now().Sub(time.Unix(s.changed.Unix())) > clockGrain
}

// sum returns the SHA-256 of a file, which is not read again while its stamp is the same.
func (i *installer) sum(path string) ([32]byte, error) {
	now := stampOf(path)
	if before, ok := i.sums[path]; ok && before.of == now {
		return before.sum, nil
	}
	got, err := sum(path)
	if err == nil && i.trusted(now) {
		if i.sums == nil {
			i.sums = map[string]stamped{}
		}
		i.sums[path] = stamped{now, got}
	}
	return got, err
}

// stamped is the sum that a file had when this was its stamp.
type stamped struct {
	of  stamp
	sum [32]byte
}

// acceptable is the mode that a binary has to have: where nothing can be written, as in images of nodes that come with the
// binaries, any that lets all run it.
func acceptable(path string) fs.FileMode {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 == 0o111 && !canWrite(filepath.Dir(path)) {
		return info.Mode()
	}
	return binaryMode
}

// clockGrain is longer than the kernel's clock of files stands still: a file that was changed so lately may be changed
// again without its time telling.
const clockGrain = time.Second

// stamp is what of a file changes with its bytes: the kernel sets the time of change, and nobody else can.
type stamp struct {
	device, inode uint64
	size          int64
	mode          uint32
	changed       syscall.Timespec
}

// stampOf returns the stamp of a file, zero when it cannot be looked at.
func stampOf(path string) stamp {
	var s syscall.Stat_t
	if err := syscall.Lstat(path, &s); err != nil {
		return stamp{}
	}
	return stamp{s.Dev, s.Ino, s.Size, s.Mode, s.Ctim}
}
