package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// nodeFileMode lets everybody on the node read the node agent's files, as Calico's does.
const nodeFileMode fs.FileMode = 0o644

// nodeFile is a file that a node agent would leave.
type nodeFile struct {
	path string
	data []byte
}

// nodeFiles provides what a node agent would leave, when that was asked for. A file that is there and was not written by
// us is an agent's, and left alone.
func (i *installer) nodeFiles(context.Context) error {
	files, err := i.ownNodeFiles()
	if err != nil {
		return err
	}
	for _, f := range files {
		written, err := i.put(f.path, f.data, nodeFileMode)
		if err != nil {
			return err
		}
		i.deps.Log.Info("node file is in place", "path", f.path, "content", string(f.data), "written", written)
	}
	return nil
}

// ownNodeFiles returns the files that are ours to write: those that are absent, or hold what we wrote. Neither ends
// with a newline, for Calico's plugin takes them as they are.
func (i *installer) ownNodeFiles() ([]nodeFile, error) {
	if !i.cfg.NodeFiles {
		return nil, nil
	}
	dir := i.cfg.nodeFilesDir()
	if err := directory(dir); err != nil {
		return nil, fmt.Errorf("find the mount of the host's /var/lib/calico: %w; mount it there, or unset NODE_FILES", err)
	}
	mtu, err := i.mtu()
	if err != nil {
		return nil, err
	}
	var files []nodeFile
	for _, f := range []nodeFile{
		{filepath.Join(dir, "nodename"), []byte(i.values.NodeName)},
		{filepath.Join(dir, "mtu"), []byte(strconv.Itoa(mtu))},
	} {
		ours, err := i.mayWrite(f.path)
		if err != nil {
			return nil, err
		}
		if ours {
			files = append(files, f)
		}
	}
	return files, nil
}

// mtu is the configured one, else that of the link that the node reaches others by. What an encapsulation takes is not
// known here: where pools encapsulate, CNI_MTU has to say it.
func (i *installer) mtu() (int, error) {
	if i.cfg.MTU != 0 {
		return i.cfg.MTU, nil
	}
	mtu, err := i.deps.LinkMTU()
	if err != nil {
		return 0, fmt.Errorf("find the MTU of the node's link: %w; set CNI_MTU, or run on the host's network", err)
	}
	return mtu, nil
}

// mayWrite says that a file is absent, or holds what the record says that we wrote.
func (i *installer) mayWrite(path string) (bool, error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case !info.Mode().IsRegular():
		return false, nil
	}
	s, err := sum(path)
	return err == nil && i.record.owns(i.name(path), s), err
}
