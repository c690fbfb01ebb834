// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"calico-cni/pkg/install/hostfile"
)

// Status is the state of one binary in one directory. The digests are SHA-256 in hex. Installed reports whether install
// wrote the file.
type Status struct {
	Path      string         `json:"path"`
	State     hostfile.State `json:"state"`
	SHA256    string         `json:"sha256,omitempty"`
	Want      string         `json:"want"`
	Installed bool           `json:"installed"`
}

// Status compares the binaries on the host with the image. It returns a sentence for each problem.
func (s *Set) Status() (binaries []Status, problems []string, err error) {
	wanted, err := s.image.binaries()
	if err != nil {
		return nil, nil, err
	}
	binaries = []Status{}
	complete := false
	for _, dir := range s.Dirs {
		if err := hostfile.Directory(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, nil, err
		}
		lacking, err := s.lacking(dir, wanted)
		if err != nil {
			return nil, nil, err
		}
		complete = complete || len(lacking) == 0
		for _, b := range wanted {
			found := s.compare(filepath.Join(dir, b.name), b)
			binaries = append(binaries, found)
			if has(lacking, b.name) {
				problems = append(problems, found.problem()+newerThan(s.newer(found.Path)))
			}
		}
	}
	if !complete && len(problems) == 0 {
		problems = append(problems, "no binary directory is mounted")
	}
	return binaries, problems, nil
}

// problem describes a binary that must be written.
func (s Status) problem() string {
	what := string(s.State)
	if s.State == hostfile.Equal {
		what = "mode differs"
	}
	return fmt.Sprintf("%s: %s", s.Path, what)
}

func (s *Set) compare(path string, b binary) Status {
	found := Status{Path: path, State: hostfile.Differs, Want: hex.EncodeToString(b.sum[:])}
	got, err := hostfile.SHA256(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		found.State = hostfile.Missing
		return found
	case err != nil:
		return found
	case got == b.sum:
		found.State = hostfile.Equal
	case s.newer(path) != "":
		found.State = hostfile.Newer
	}
	found.SHA256, found.Installed = hex.EncodeToString(got[:]), s.Record.Owns(path, got)
	return found
}
