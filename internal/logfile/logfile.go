// SPDX-License-Identifier: Apache-2.0

// Package logfile writes a log file that is shared by many short-lived processes, and limits its size, age and count.
//
// Each line is a single append to the file that currently has the path. The file is opened and closed for each line,
// because a process writes only a few lines and must notice a rotation. Far below the size limit no locking is needed.
// Near the limit writers take turns with a lock on "<path>.lock", and the writer whose line does not fit rotates first.
// Rotation renames the file to "<name>-<UTC time><ext>", for example cni-2026-08-01T12-00-00.000.log. This is the
// format of Calico, and Calico's rotated files count as well. Rotated files are not compressed, because compression
// would delay a pod.
package logfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"calico-cni/internal/hostlock"
	"calico-cni/internal/safeopen"
)

// Options are the path and the limits of the log. A limit of zero means no limit.
type Options struct {
	Path string
	// MaxSize is in bytes. A file exceeds it only if a single line does.
	MaxSize int64
	// MaxAge limits the time since the rotation of a file; MaxCount limits the number of rotated files. Both are
	// enforced at a rotation.
	MaxAge   time.Duration
	MaxCount int
	Now      func() time.Time
}

const (
	// margin is the distance below the size limit at which writers begin to take turns. It exceeds what all writers
	// together can append after each has seen a size below that point.
	margin = 1 << 20
	// turnTimeout is how long a process waits for its turn, once. A turn is one write, or a rename and a few removals.
	turnTimeout = time.Second
	// fileMode allows the group to read, but not others, because the log contains pod names. The umask may restrict it.
	fileMode fs.FileMode = 0o640
)

// File is the log file as used by one process.
type File struct {
	options Options
	mu      sync.Mutex
	// hurried is set once turnTimeout has been used up. Later lines do not wait.
	hurried bool
}

// Open returns the log file. It creates and opens nothing before the first Write.
func Open(o Options) *File { return &File{options: o} }

// Write appends one line, which includes its newline, completely or not at all. It creates the directory (0755) and the
// file (0640) as needed. The error comes from the operating system, or says that the path is not a regular file. If
// only the rotation fails, Write still writes the line and returns its length with the error.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.appendOrRotate(line)
	if err != nil {
		return n, fmt.Errorf("write log file: %w", err)
	}
	return n, nil
}

func (f *File) appendOrRotate(line []byte) (int, error) {
	file, info, err := f.open()
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	if f.options.MaxSize == 0 || info.Size()+int64(len(line)) <= f.options.MaxSize-margin {
		return appendLine(file, line)
	}
	return f.writeInTurn(line)
}

// writeInTurn writes under the lock and rotates first if the line does not fit. A writer that does not get the lock
// writes without rotating.
func (f *File) writeInTurn(line []byte) (int, error) {
	unlock, failed := f.lock()
	if unlock != nil {
		defer unlock()
	}
	file, info, err := f.open()
	if err != nil {
		return 0, errors.Join(failed, err)
	}
	if unlock != nil && info.Size() > 0 && info.Size()+int64(len(line)) > f.options.MaxSize {
		_ = file.Close()
		failed = f.rotate()
		old := info
		if file, info, err = f.open(); err != nil {
			return 0, errors.Join(failed, err)
		}
		failed = errors.Join(failed, inherit(file, info, old))
	}
	defer func() { _ = file.Close() }()
	n, err := appendLine(file, line)
	return n, errors.Join(failed, err)
}

// lock waits for the writer's turn. It returns nil without an error if the lock stays busy.
func (f *File) lock() (unlock func(), err error) {
	wait := turnTimeout
	if f.hurried {
		wait = 0
	}
	unlock, err = hostlock.Within(wait, f.options.Path+".lock")
	if errors.Is(err, hostlock.ErrBusy) {
		f.hurried = true
		return nil, nil
	}
	return unlock, err
}

// open opens the file that currently has the path. It follows no symbolic link and does not block on a FIFO.
func (f *File) open() (*os.File, fs.FileInfo, error) {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE
	file, info, err := safeopen.File(f.options.Path, flags, fileMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(f.options.Path), 0o755); err != nil {
			return nil, nil, err
		}
		file, info, err = safeopen.File(f.options.Path, flags, fileMode)
	}
	if errors.Is(err, safeopen.ErrNotRegular) {
		err = fmt.Errorf("%w, or set log_file_path to another path", err)
	}
	return file, info, err
}

// appendLine removes a line that was cut off by a full disk, so that no later line follows a partial one.
func appendLine(file *os.File, line []byte) (int, error) {
	n, err := file.Write(line)
	if err == nil || n == 0 {
		return n, err
	}
	end, errSeek := file.Seek(0, io.SeekCurrent)
	info, errStat := file.Stat()
	switch {
	case errSeek != nil || errStat != nil:
		err = errors.Join(err, errSeek, errStat)
	case info.Size() == end:
		// No other writer has written since, and none can before there is space.
		err = errors.Join(err, file.Truncate(end-int64(n)))
	}
	return 0, err
}
