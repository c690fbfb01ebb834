package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// asideSuffix ends the names of configurations that were moved aside: nothing that a runtime reads.
const asideSuffix = ".calico-cni-disabled"

// exclude moves every configuration but ours aside, when that was asked for.
func (i *installer) exclude(context.Context) error {
	if !i.cfg.Exclusive {
		return nil
	}
	rivals, err := i.rivals()
	if err != nil {
		return err
	}
	for _, name := range rivals {
		path := filepath.Join(i.cfg.netDir(), name)
		what := describe(path)
		if err := os.Rename(path, path+asideSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("move %s aside: %w", name, err)
		}
		i.deps.Log.Warn("another network configuration is moved aside; uninstalling brings it back", "path", path, "to", name+asideSuffix, "was", what)
	}
	return nil
}

// rivals names the configurations of others that a runtime would read.
func (i *installer) rivals() ([]string, error) {
	names, err := i.cfg.configFiles()
	return slices.DeleteFunc(names, func(name string) bool { return name == i.cfg.confName() }), err
}

// aside names the files that were moved aside.
func (i *installer) aside() ([]string, error) {
	entries, err := os.ReadDir(i.cfg.netDir())
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), asideSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// restore brings back what exclude moved aside, and returns the names. One whose place is taken stays aside.
func (i *installer) restore(dry bool) (restored, kept []string, err error) {
	aside, err := i.aside()
	if err != nil {
		return nil, nil, err
	}
	for _, moved := range aside {
		name := strings.TrimSuffix(moved, asideSuffix)
		path := filepath.Join(i.cfg.netDir(), name)
		if _, err := os.Lstat(path); err == nil {
			kept = append(kept, moved)
			continue
		}
		if !dry {
			if err := os.Rename(path+asideSuffix, path); err != nil {
				return restored, kept, fmt.Errorf("bring back %s: %w", name, err)
			}
		}
		restored = append(restored, name)
	}
	return restored, kept, nil
}

// describe says of a file what can be told of who wrote it: the kernel keeps the owner and the time, not the program.
func describe(path string) string {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "missing"
	case err != nil:
		return err.Error()
	}
	uid := "?"
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		uid = fmt.Sprint(s.Uid)
	}
	return fmt.Sprintf("%s, %d bytes, of uid %s, modified %s%s", info.Mode(), info.Size(), uid, info.ModTime().UTC().Format("2006-01-02T15:04:05Z"), describeList(path, info))
}

// describeList names network and plugins of a configuration; it quotes nothing else of it.
func describeList(path string, info fs.FileInfo) string {
	if !info.Mode().IsRegular() || info.Size() > 1<<20 || !slices.Contains([]string{".conflist", ".conf", ".json"}, filepath.Ext(path)) {
		return ""
	}
	name, types := callees(path)
	if len(types) == 0 {
		return ", not a network configuration"
	}
	return fmt.Sprintf(", network %q of plugins %s", name, strings.Join(types, ", "))
}
