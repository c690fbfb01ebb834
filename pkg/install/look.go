package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
)

func (w *watcher) lookBinaries(context.Context) ([]string, error) {
	wanted, err := w.wanted()
	if err != nil {
		return nil, err
	}
	var faults []string
	complete := false
	for _, dir := range w.cfg.binDirs() {
		if err := directory(dir); err != nil {
			continue
		}
		lacking, err := w.lacking(dir, wanted)
		if err != nil {
			return nil, err
		}
		complete = complete || len(lacking) == 0
		for _, line := range w.staying(dir, wanted) {
			w.note(line)
		}
		if !canWrite(dir) {
			continue
		}
		for _, name := range lacking {
			faults = append(faults, fault(filepath.Join(dir, name)))
		}
	}
	if !complete && len(faults) == 0 {
		faults = append(faults, "no binary directory holds all binaries, or can be written")
	}
	return faults, nil
}

func (w *watcher) lookNodeFiles(context.Context) ([]string, error) {
	files, err := w.ownNodeFiles()
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, f := range files {
		same, err := atomicfile.Holds(f.path, bytes.NewReader(f.data), nodeFileMode)
		if err != nil {
			return nil, err
		}
		if !same {
			faults = append(faults, fault(f.path))
		}
	}
	return faults, nil
}

// lookToken looks at the clock often, and asks the API server rarely; at once when the clock was set back, and when a plugin met
// a refusal.
func (w *watcher) lookToken(ctx context.Context) ([]string, error) {
	now := w.deps.Now().Round(0)
	if w.credential.due(now) {
		return []string{"token is due to be renewed"}, nil
	}
	refusals := w.cfg.troubleDir().Refusals()
	refused := refusals != "" && refusals != w.refusals
	if since := now.Sub(w.probed); since >= 0 && since < w.probeEvery && !refused {
		return nil, nil
	}
	w.refusals = refusals
	if err := w.deps.Tokens.Accepted(ctx, w.cfg.kubeconfigPath()); errors.Is(err, ErrRefused) {
		return []string{"the API server refuses the token of " + w.cfg.kubeconfigPath()}, nil
	}
	w.probed = now
	return nil, nil
}

// mendToken renews. While the old token is good for long, that it cannot be renewed is no reason not to be ready.
func (w *watcher) mendToken(ctx context.Context) error {
	refused := !w.credential.due(w.deps.Now())
	err := w.renew(ctx)
	w.unrenewed = err != nil && !refused
	if err == nil {
		w.probed = time.Time{}
		return w.kubeconfig(ctx)
	}
	if !w.tokenLasts() {
		return err
	}
	w.deps.Log.Warn("token is not renewed; the old one is good for hours", "error", err)
	return nil
}

// tokenLasts says that a token could not be renewed in time, and is good for long all the same.
func (w *watcher) tokenLasts() bool { return w.unrenewed && w.credential.good(w.deps.Now()) }

// lookKubeconfig leaves one that somebody else wrote, when it works: Calico's node agent renews the file, too.
func (w *watcher) lookKubeconfig(ctx context.Context) ([]string, error) {
	data, err := w.usableKubeconfig(w.credential.token)
	if err != nil {
		return nil, err
	}
	path := w.cfg.kubeconfigPath()
	same, err := atomicfile.Holds(path, bytes.NewReader(data), fileMode)
	if err != nil || same {
		return nil, err
	}
	if w.othersWorks(ctx, path) {
		w.note("kubeconfig is somebody else's, as Calico's node agent's, and works: it is left alone")
		return nil, nil
	}
	return []string{fault(path)}, nil
}

// verdict is what the API server last said of a kubeconfig that somebody else wrote.
type verdict struct {
	of stamp
	at time.Time
	// refusals are those that plugins had met by then.
	refusals string
	works    bool
}

// othersWorks says that a kubeconfig was not written by us, is as closed as ours, and is taken by the API server, which is asked
// as rarely as about ours. One that it took stays while it cannot be asked.
func (w *watcher) othersWorks(ctx context.Context, path string) bool {
	of, now := stampOf(path), w.deps.Now().Round(0)
	if !closed(path) {
		return false
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.HasPrefix(string(data), kubeconfigHead) {
		return false
	}
	took := w.others.works && w.others.of == of
	refusals := w.cfg.troubleDir().Refusals()
	refused := refusals != "" && refusals != w.others.refusals
	if since := now.Sub(w.others.at); took && since >= 0 && since < w.probeEvery && !refused {
		return true
	}
	err = w.deps.Tokens.Accepted(ctx, path)
	w.others = verdict{of, now, refusals, err == nil || took && !errors.Is(err, ErrRefused)}
	return w.others.works
}

// closed says that a file is a regular one, and as closed as what has a token is to be.
func closed(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&^fileMode == 0
}

// lookNetwork leaves a list to which others have added what is theirs.
func (w *watcher) lookNetwork(context.Context) ([]string, error) {
	n, err := w.network()
	if err != nil {
		return nil, err
	}
	if active, err := w.cfg.activeConfig(); err == nil && active != "" && active < w.cfg.confName() && !w.cfg.Exclusive {
		w.note(fmt.Sprintf("runtimes take %s before %s: %s", active, w.cfg.confName(), describe(filepath.Join(w.cfg.netDir(), active))))
	}
	same, err := atomicfile.Holds(n.path, bytes.NewReader(n.data), n.mode)
	if err != nil || same {
		return nil, err
	}
	data, err := os.ReadFile(n.path)
	if err == nil && w.extended(n, data) {
		w.note(fmt.Sprintf("others have added to %s, which is left so: %s", n.path, describe(n.path)))
		return nil, nil
	}
	return []string{fault(n.path)}, nil
}

// extended says that others added to a list of ours, and that it is no more open than a list without secrets may be.
func (i *installer) extended(n network, data []byte) bool {
	info, err := os.Lstat(n.path)
	if err != nil || !info.Mode().IsRegular() || n.base != nil || bytes.Equal(data, n.data) {
		return false
	}
	secret := i.values.Token != "" && bytes.Contains(data, []byte(i.values.Token))
	closed := info.Mode() == n.mode || !secret && info.Mode().Perm()&^openMode == 0
	return closed && conflist.Extends(data, n.data)
}

// openMode is as open as meshes leave the list that they add to.
const openMode fs.FileMode = 0o644

func (w *watcher) lookOld(context.Context) ([]string, error) {
	path := w.cfg.oldConfPath()
	if path == "" {
		return nil, nil
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return []string{path + " is there again: " + describe(path)}, nil
}

func (w *watcher) lookRivals(context.Context) ([]string, error) {
	if !w.cfg.Exclusive {
		return nil, nil
	}
	rivals, err := w.rivals()
	var faults []string
	for _, name := range rivals {
		path := filepath.Join(w.cfg.netDir(), name)
		faults = append(faults, path+" is there: "+describe(path))
	}
	return faults, err
}

// fault says what is found in the place of a file that should be another.
func fault(path string) string {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return path + " is missing"
	}
	return path + " is not as it should be: " + describe(path)
}

func sameMode(path string, mode fs.FileMode) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode() == mode
}
