package install

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/linediff"
)

// plan prints what installing would change, in the order of the steps, and changes nothing; nor is a token issued. An
// error wraps ErrDiffers when something would change.
func (i *installer) plan(ctx context.Context) error {
	var changes int
	for _, step := range []struct {
		name string
		run  func() (int, error)
	}{
		{"prepare", func() (int, error) { return i.planPrepare(ctx) }},
		{"install binaries", i.planBinaries},
		{"provide node files", i.planNodeFiles},
		{"install kubeconfig", i.planKubeconfig},
		{"install network configuration", i.planNetwork},
		{"remove and move aside other network configurations", i.planOthers},
	} {
		n, err := step.run()
		if err != nil {
			return fmt.Errorf("%s: %w%s", step.name, err, cure(err))
		}
		changes += n
	}
	if changes > 0 {
		i.print("installing would change %d of the files\n", changes)
		return fmt.Errorf("%w: installing would change %d of the files", ErrDiffers, changes)
	}
	i.print("installing would change nothing\n")
	return nil
}

// planPrepare takes the token that the host has, to compare what is made with it.
func (i *installer) planPrepare(ctx context.Context) (int, error) {
	if err := i.read(); err != nil {
		return 0, err
	}
	data, err := os.ReadFile(i.cfg.kubeconfigPath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	i.values.Token = tokenOf(data)
	if err := i.tryConflist(); err != nil {
		return 0, err
	}
	return 0, i.check(ctx)
}

func (i *installer) planBinaries() (int, error) {
	wanted, err := i.wanted()
	if err != nil {
		return 0, err
	}
	changes, complete := 0, false
	for _, dir := range i.cfg.binDirs() {
		if err := directory(dir); err != nil {
			continue
		}
		lacking, err := i.lacking(dir, wanted)
		if err != nil {
			return 0, err
		}
		for _, line := range i.staying(dir, wanted) {
			i.print("binary %s\n", line)
		}
		complete = complete || canWrite(dir) || len(lacking) == 0
		if !canWrite(dir) {
			continue
		}
		for _, name := range lacking {
			path := filepath.Join(dir, name)
			i.print("binary %s would be written, now %s%s\n", path, describe(path), newerThan(i.newer(path)))
			changes++
		}
	}
	if !complete {
		return 0, i.noBinaries()
	}
	return changes, nil
}

func (i *installer) planNodeFiles() (int, error) {
	files, err := i.ownNodeFiles()
	changes := 0
	for _, f := range files {
		n, err := i.planFile(f.path, f.data, nodeFileMode)
		if err != nil {
			return changes, err
		}
		changes += n
	}
	return changes, err
}

// planKubeconfig does not count a new token as a change. A node without a token has a placeholder for it: a dry run requests none.
func (i *installer) planKubeconfig() (int, error) {
	data, err := i.usableKubeconfig(cmp.Or(i.values.Token, "unknown"))
	if err != nil {
		return 0, err
	}
	return i.planFile(i.cfg.kubeconfigPath(), data, fileMode)
}

func (i *installer) planNetwork() (int, error) {
	n, err := i.network()
	if err != nil {
		return 0, err
	}
	return i.planFile(n.path, n.data, n.mode)
}

// planOthers tells of what an earlier configuration had called our plugins by, of the old configuration, and of rivals; of each
// file once.
func (i *installer) planOthers() (int, error) {
	u := remover{installer: i, dry: true}
	if err := u.former(); err != nil {
		return 0, err
	}
	would := func(path, what string) {
		if _, err := os.Lstat(path); err == nil && !slices.Contains(u.done, path) {
			i.print("%s would be %s: %s\n", path, what, describe(path))
			u.done = append(u.done, path)
		}
	}
	would(i.cfg.oldConfPath(), "removed")
	if !i.cfg.Exclusive {
		return len(u.done), nil
	}
	rivals, err := i.rivals()
	for _, name := range rivals {
		would(filepath.Join(i.cfg.netDir(), name), "moved aside")
	}
	return len(u.done), err
}

// planFile prints the difference of one text file, without its secrets.
func (i *installer) planFile(path string, data []byte, mode fs.FileMode) (int, error) {
	same, err := atomicfile.Holds(path, bytes.NewReader(data), mode)
	if same || err != nil {
		return 0, err
	}
	before, err := os.ReadFile(path)
	oldName := path
	if errors.Is(err, fs.ErrNotExist) {
		oldName = os.DevNull
	} else if err != nil {
		return 0, err
	}
	diff := linediff.Unified(oldName, path, redact(before), redact(data))
	if diff == "" {
		diff = fmt.Sprintf("%s would be written: its mode, or a secret in it, is to change: %s\n", path, describe(path))
	}
	i.print("%s", diff)
	return 1, nil
}

func (i *installer) print(format string, args ...any) {
	_, _ = fmt.Fprintf(i.deps.Out, format, args...)
}

var (
	// secretField is a field whose value is a secret, in YAML or JSON, up to the end of the value.
	secretField = regexp.MustCompile(`(?i)("?[a-z0-9_-]*(?:token|password|secret|key-data|client_key|client-key)[a-z0-9_-]*"?\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s,}\]"][^,}\]\n]*)`)
	// jsonWebToken is a token wherever it stands.
	jsonWebToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*`)
)

// redact returns a text without what looks like a secret. It is for people: what comes out is not read again.
func redact(data []byte) string {
	data = secretField.ReplaceAll(data, []byte(`${1}"(secret)"`))
	return string(jsonWebToken.ReplaceAll(data, []byte("(secret)")))
}
