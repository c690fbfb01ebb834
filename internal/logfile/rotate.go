// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// layout is the format of the time in the name of a rotated file.
const layout = "2006-01-02T15-04-05.000"

// rotated is a rotated file.
type rotated struct {
	name string
	at   time.Time
}

// rotate renames the file after it has removed files beyond the limits. The new name has a later time than all others,
// even if there are several rotations per millisecond or the clock was set back. So the names keep the order of the
// lines.
func (f *File) rotate() error {
	dir, _ := filepath.Split(f.options.Path)
	files, err := f.rotated(dir)
	if err != nil {
		return err
	}
	at := f.options.Now().UTC().Truncate(time.Millisecond)
	err = f.prune(dir, files, at)
	if n := len(files); n > 0 && !files[n-1].at.Before(at) {
		at = files[n-1].at.Add(time.Millisecond)
	}
	name, ext := f.name()
	return errors.Join(err, os.Rename(f.options.Path, dir+name+"-"+at.Format(layout)+ext))
}

// inherit gives the new file the mode and owner of the old one, which may have been set for a log collector.
func inherit(file *os.File, info, old fs.FileInfo) (err error) {
	is, was := info.Sys().(*syscall.Stat_t), old.Sys().(*syscall.Stat_t)
	if is.Uid != was.Uid || is.Gid != was.Gid {
		err = file.Chown(int(was.Uid), int(was.Gid))
	}
	if info.Mode() != old.Mode() {
		err = errors.Join(err, file.Chmod(old.Mode()))
	}
	return err
}

// prune removes files that are too old, and then the oldest ones until there is space for one more.
func (f *File) prune(dir string, files []rotated, now time.Time) error {
	var errs []error
	for i, file := range files {
		tooOld := f.options.MaxAge > 0 && now.Sub(file.at) > f.options.MaxAge
		tooMany := f.options.MaxCount > 0 && len(files)-i >= f.options.MaxCount
		if !tooOld && !tooMany {
			continue
		}
		if err := os.Remove(dir + file.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// rotated lists the rotated files, oldest first.
func (f *File) rotated(dir string) (files []rotated, err error) {
	entries, err := os.ReadDir(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if at, ok := f.rotatedAt(e.Name()); ok && e.Type().IsRegular() {
			files = append(files, rotated{e.Name(), at})
		}
	}
	slices.SortFunc(files, func(a, b rotated) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.name, b.name)) })
	return files, nil
}

// rotatedAt reads the time from the name of a rotated file. Files of other writers may have a reason after the time
// ("-size") and a compression suffix.
func (f *File) rotatedAt(name string) (at time.Time, ok bool) {
	base, ext := f.name()
	name, isOurs := strings.CutPrefix(name, base+"-")
	for _, compression := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, compression)
	}
	name, hasExt := strings.CutSuffix(name, ext)
	if !isOurs || !hasExt || len(name) < len(layout) {
		return time.Time{}, false
	}
	reason := name[len(layout):]
	if reason != "" && (reason[0] != '-' || strings.Trim(reason[1:], "abcdefghijklmnopqrstuvwxyz") != "") {
		return time.Time{}, false
	}
	at, err := time.Parse(layout, name[:len(layout)])
	return at, err == nil
}

// name returns the file's name and its extension separately.
func (f *File) name() (name, ext string) {
	base := filepath.Base(f.options.Path)
	ext = filepath.Ext(base)
	return strings.TrimSuffix(base, ext), ext
}
