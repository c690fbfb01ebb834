package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
)

// uninstall removes what the record says that we wrote and that is still so: network configuration, kubeconfig,
// binaries, node files, in this order. As long as a configuration calls our plugins, they stay, and so does the
// kubeconfig. An error wraps ErrDiffers when something had to be left, and names it.
func (i *installer) uninstall(ctx context.Context) error {
	if err := directory(i.cfg.netDir()); err != nil {
		return fmt.Errorf("find the mount of the host's %s: %w; mount it there, or set --host-root", i.cfg.NetDir, err)
	}
	if _, err := loadRecord(i.recordPath()); errors.Is(err, ErrNewerRecord) {
		return fmt.Errorf("uninstall: %w; uninstall with that version", err)
	}
	i.remember()
	u := remover{installer: i, dry: i.cfg.DryRun}
	// While the kubeconfig is there: afterwards nobody can.
	u.settleReleases(ctx)
	if err := u.all(); err != nil {
		return fmt.Errorf("uninstall: %w%s", err, cure(err))
	}
	u.tellState()
	if len(u.left) > 0 {
		return fmt.Errorf("%w: left %s", ErrDiffers, strings.Join(u.left, "; left "))
	}
	return nil
}

// remover removes files of the record. left has what it could not take, with the reason; done, the paths that it took
// or, in a dry run, would take.
type remover struct {
	*installer
	dry  bool
	left []string
	done []string
}

func (u *remover) all() error {
	if err := u.bringBack(); err != nil {
		return err
	}
	for _, name := range append(slices.Clone(u.record.Unchain), u.record.Chained) {
		if err := u.unchain(name); err != nil {
			return err
		}
	}
	if err := u.owned(isConfig); err != nil {
		return err
	}
	callers, err := u.callers()
	if err != nil {
		return err
	}
	if len(callers) > 0 {
		u.leave("binaries and kubeconfig, which %s calls: take calico out of it, or remove it, and uninstall again", strings.Join(callers, ", "))
		return nil
	}
	if err := u.owned(func(string) bool { return true }); err != nil {
		return err
	}
	u.tellOthers()
	if u.dry {
		return nil
	}
	u.sweepAll()
	if len(u.record.Files) > 0 {
		return nil
	}
	err = os.Remove(u.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sweepAll removes the temporaries of killed installers, however young. One that still runs takes it up again.
func (u *remover) sweepAll() {
	for _, dir := range u.cfg.Kept() {
		if err := atomicfile.Sweep(dir, u.deps.Now()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.deps.Log.Warn("temporary files of an earlier run stay", "dir", dir, "error", err)
		}
	}
}

// bringBack restores the configurations that were moved aside, before ours goes: the runtime is never without one.
func (u *remover) bringBack() error {
	restored, kept, err := u.restore(u.dry)
	for _, name := range restored {
		u.tell("restored", filepath.Join(u.cfg.netDir(), name))
	}
	for _, name := range kept {
		u.leave("%s, whose old name is taken", filepath.Join(u.cfg.netDir(), name))
	}
	return err
}

// unchain takes our plugin out of the list that it was added to, named as in the record.
func (u *remover) unchain(name string) error {
	if name == "" {
		return nil
	}
	path := filepath.Join(u.cfg.HostRoot, name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	rest, left, err := conflist.Unchain(data, ourType)
	switch {
	case err != nil:
		u.leave("%s, which cannot be read as a list of plugins", path)
		return nil
	case left == 0:
		u.leave("%s, which has no other plugin than ours", path)
		return nil
	case len(rest) == len(data):
		return nil
	}
	u.take("taken out of", path)
	if u.dry {
		return nil
	}
	_, err = atomicfile.WriteFile(path, rest, info.Mode())
	return err
}

func isConfig(name string) bool {
	return slices.Contains([]string{".conf", ".conflist", ".json"}, filepath.Ext(name))
}

// owned removes the files of the record that which accepts.
func (u *remover) owned(which func(name string) bool) error {
	names := make([]string, 0, len(u.record.Files))
	for name := range u.record.Files {
		names = append(names, name)
	}
	// The configuration directory goes before the binaries: the kubeconfig is a secret.
	slices.Sort(names)
	for _, name := range names {
		if !which(name) {
			continue
		}
		if err := u.remove(name); err != nil {
			return err
		}
	}
	return nil
}

func (u *remover) remove(name string) error {
	path := filepath.Join(u.cfg.HostRoot, name)
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && directory(filepath.Dir(path)) != nil:
		// Whether it is on the host cannot be said from here. The record keeps it.
		u.leave("%s, whose directory is not mounted here: mount it, and uninstall again", path)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		delete(u.record.Files, name)
		return nil
	case err != nil:
		return err
	}
	ours := false
	if info.Mode().IsRegular() {
		s, err := sum(path)
		if err != nil {
			return err
		}
		ours = u.record.owns(name, s)
	}
	delete(u.record.Files, name)
	if !ours {
		u.leave("%s, which somebody changed: %s", path, describe(path))
		return nil
	}
	u.take("removed", path)
	if u.dry {
		return nil
	}
	return os.Remove(path)
}

// callers names the configurations that a runtime still reads and that call our plugins.
func (u *remover) callers() ([]string, error) {
	names, err := u.cfg.configFiles()
	var callers []string
	for _, name := range names {
		path := filepath.Join(u.cfg.netDir(), name)
		if slices.Contains(u.done, path) {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		var config any
		if json.Unmarshal(data, &config) == nil && calls(config) {
			callers = append(callers, path)
		}
	}
	return callers, err
}

// calls says that a configuration has one of our plugins for a type, however deep: meta-plugins, such as Multus, have
// configurations of others within their own.
func calls(config any) bool {
	switch c := config.(type) {
	case map[string]any:
		kind, _ := c["type"].(string)
		return slices.Contains(plugins, kind) || slices.ContainsFunc(slices.Collect(maps.Values(c)), calls)
	case []any:
		return slices.ContainsFunc(c, calls)
	}
	return false
}

// tellOthers names the plugins that are there and that we did not write: they were there before.
func (u *remover) tellOthers() {
	for _, dir := range u.cfg.binDirs() {
		for _, name := range plugins {
			path := filepath.Join(dir, name)
			if _, err := os.Lstat(path); err == nil && !u.dry {
				u.deps.Log.Info("left, for it was there before or was changed", "path", path)
			}
		}
	}
}

func (u *remover) leave(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	u.left = append(u.left, text)
	if u.dry {
		u.print("would be left: %s\n", text)
		return
	}
	u.deps.Log.Warn("left " + text)
}

func (u *remover) take(what, path string) {
	u.done = append(u.done, path)
	u.tell(what, path)
}

func (u *remover) tell(what, path string) {
	if u.dry {
		u.print("would be %s: %s\n", what, path)
		return
	}
	u.deps.Log.Info(what, "path", path)
}
