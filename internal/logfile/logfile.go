// Package logfile writes a log file that many short-lived processes share, and keeps its size, count and age within limits.
//
// A line is one append to whatever file has the path at that moment, opened for it and closed again: a process of a
// few lines gains nothing from keeping it, and nothing has to be told of a rotation. Far below the size limit
// that is all there is to it. Near the limit writers take turns, by a lock on "<path>.lock", and the one whose line does
// not fit any more rotates first: the file is renamed to "<name>-<UTC time><ext>", as in cni-2026-08-01T12-00-00.000.log, the
// form that Calico's has, whose rotated files count here too. Rotated files are left as they are, not compressed: that would
// keep a pod waiting.
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

// Options say where the file is and what limits it. A limit of zero is none.
type Options struct {
	Path string
	// MaxSize is in bytes. A file is larger only if a single line is.
	MaxSize int64
	// MaxAge bounds how long ago a file was rotated, MaxCount how many rotated files there are. Both are enforced when
	// a file is rotated.
	MaxAge   time.Duration
	MaxCount int
	Now      func() time.Time
}

const (
	// margin is how far below the size limit writers begin to take turns: more than what they could all write at once
	// after each has seen a size that was still well.
	margin = 1 << 20
	// patience is how long a writer waits for its turn, once. A turn is a write, or a rename and a few removals.
	patience = time.Second
	// fileMode lets the group read, but not everybody: the log names pods. The umask may narrow it.
	fileMode fs.FileMode = 0o640
)

// File is the log file, as one process writes to it.
type File struct {
	options Options
	mu      sync.Mutex
	// hurried is set when patience was spent: no other line waits.
	hurried bool
}

// Open returns the log file. Nothing is made or opened before the first Write.
func Open(o Options) *File { return &File{options: o} }

// Write appends one line, whole or not at all; the line brings its newline. The directory (0755) and the file (0640) are
// made as needed. An error is what the operating system said, or that the path leads to something other than a regular
// file. When the line was written all the same, because only rotating failed, its length comes with the error.
func (f *File) Write(line []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := f.write(line)
	if err != nil {
		return n, fmt.Errorf("write log file: %w", err)
	}
	return n, nil
}

func (f *File) write(line []byte) (int, error) {
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

// writeInTurn writes under the lock, and rotates before that if the line does not fit. Whoever does not get his turn
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

// lock waits for the writer's turn. It returns nil, and no error, if others do not let go.
func (f *File) lock() (unlock func(), err error) {
	wait := patience
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

// open opens the file that has the path now. It follows no symbolic link, and a FIFO does not block it.
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

// appendLine takes back what a full disk took of a line, so that no line begins with the torn end of another.
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
		// Nobody wrote since, and nobody can before there is room.
		err = errors.Join(err, file.Truncate(end-int64(n)))
	}
	return 0, err
}
