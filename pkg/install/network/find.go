// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// Find returns how the configuration differs from the desired one. It accepts a list to which other programs have added
// plugins or fields, and reports it to note.
func (l *List) Find(note func(text string)) ([]string, error) {
	want, err := l.Render()
	if err != nil {
		return nil, err
	}
	same, err := atomicfile.Holds(want.Path, bytes.NewReader(want.Data), want.Mode)
	if err != nil || same {
		return nil, err
	}
	data, err := safeopen.ReadRegular(want.Path)
	if err == nil && extends(want, data, l.Token()) {
		note(fmt.Sprintf("another program has added to %s; it is not changed: %s",
			want.Path, hostfile.Describe(want.Path)))
		return nil, nil
	}
	return []string{hostfile.Difference(want.Path)}, nil
}

// openMode is the mode that service meshes give to a list that they add to.
const openMode fs.FileMode = 0o644

// extends reports whether data is our list with additions of other programs, and its mode grants no more permissions
// than a list without secrets may have.
func extends(want Content, data []byte, token string) bool {
	info, err := os.Lstat(want.Path)
	if err != nil || !info.Mode().IsRegular() || want.base != nil || bytes.Equal(data, want.Data) {
		return false
	}
	secret := token != "" && bytes.Contains(data, []byte(token))
	closed := info.Mode() == want.Mode || !secret && info.Mode().Perm()&^openMode == 0
	return closed && conflist.Extends(data, want.Data)
}

// Status is the state of the network configuration. Active is the file that container runtimes use. Aside are the files
// that were moved aside.
type Status struct {
	Path    string         `json:"path"`
	State   hostfile.State `json:"state"`
	Active  string         `json:"active"`
	Plugins []string       `json:"plugins,omitempty"`
	Aside   []string       `json:"aside,omitempty"`
}

// Status compares the configuration on the host with the desired one. It returns a sentence for each problem.
func (l *List) Status() (s Status, problems []string, err error) {
	s = Status{Path: l.Path(), State: hostfile.Missing}
	if s.Active, err = l.Dir.Active(); err != nil {
		return s, nil, err
	}
	if s.Aside, err = l.Dir.Aside(); err != nil {
		return s, nil, err
	}
	_, s.Plugins = hostfile.PluginTypes(s.Path)
	data, err := safeopen.ReadRegular(s.Path)
	if err == nil {
		if s.State, err = l.compare(data); err != nil {
			return s, nil, err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s, nil, err
	}
	if s.State == hostfile.Missing || s.State == hostfile.Differs {
		problems = append(problems, fmt.Sprintf("%s: %s", s.Path, s.State))
	}
	if s.Active != "" && s.Active != l.FileName() {
		problems = append(problems, l.Dir.describeActive(s.Active, l.FileName()))
	}
	return s, problems, nil
}

// InstalledGroup returns the API group that plugins of this project use according to the list on the host, empty if
// there is none.
func (l *List) InstalledGroup() string {
	data, err := safeopen.ReadRegular(l.Path())
	if err != nil {
		return ""
	}
	list, err := conflist.Load(l.FileName(), data)
	if err != nil {
		return ""
	}
	for _, p := range list.Plugins {
		var conf struct {
			APIGroup string `json:"calico_api_group"`
		}
		if usesPlugin(p) && json.Unmarshal(p.Bytes, &conf) == nil && conf.APIGroup != "" {
			return conf.APIGroup
		}
	}
	return ""
}

func (l *List) compare(data []byte) (hostfile.State, error) {
	want, err := l.Render()
	switch {
	case err != nil:
		return "", err
	case bytes.Equal(data, want.Data) && hostfile.HasMode(want.Path, want.Mode):
		return hostfile.Equal, nil
	case extends(want, data, l.Token()):
		return hostfile.Extended, nil
	}
	return hostfile.Differs, nil
}
