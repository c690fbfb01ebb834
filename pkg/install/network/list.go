// SPDX-License-Identifier: Apache-2.0

// Package network keeps the network configuration that container runtimes read: our own list, or the plugin in the list
// of another program.
package network

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// ErrForeignList: a runtime does not load the list to chain into. Its owner may be about to write it.
var ErrForeignList = errors.New("the list of another program is damaged")

// Record writes files and keeps which list the plugin was added to.
type Record interface {
	// Put makes a file hold data, and reports whether it had to be written.
	Put(path string, data []byte, mode fs.FileMode) (written bool, err error)
	// SetChained records the list that the plugin is added to, "" for none, and reports whether it has changed.
	SetChained(path string) (changed bool)
	// Save writes the record.
	Save() error
}

// Options configure which network configuration is written, and where.
type Options struct {
	// Dir is the configuration directory. HostDir is its path on the host, HostRoot where the host's root is mounted.
	Dir               Dir
	HostDir, HostRoot string
	// Name is the file to write. With ChainInto the plugin is added to this file instead.
	Name, ChainInto string
	// Token returns the current token, for a template that contains it.
	Token  func() string
	Record Record
	Log    *slog.Logger
}

// List is the network configuration of a host.
type List struct {
	Options
	template string
	values   conflist.Values
}

// New returns the network configuration of a host. It reads nothing.
func New(o Options) *List { return &List{Options: o} }

// SetContent sets the template, empty for the built-in one, and the values of its placeholders.
func (l *List) SetContent(template string, values conflist.Values) {
	l.template, l.values = template, values
}

// SetAPIGroup sets the API group of Calico's objects.
func (l *List) SetAPIGroup(group string) { l.values.APIGroup = group }

// FileName returns the name of the file that contains the plugin.
func (l *List) FileName() string { return cmp.Or(l.ChainInto, l.Name) }

// Path returns the path of the file that contains the plugin.
func (l *List) Path() string { return l.Dir.Path(l.FileName()) }

// Content is the desired content of the file that contains the plugin.
type Content struct {
	Path string
	Data []byte
	Mode fs.FileMode
	// base is the list of another program that Data is based on, nil for our own list.
	base []byte
}

// Render returns the desired configuration.
func (l *List) Render() (Content, error) {
	values := l.values
	values.Token = l.Token()
	data, err := conflist.Render(l.Name, l.template, values)
	if err != nil {
		return Content{}, fmt.Errorf("render %s: %w", l.Name, err)
	}
	if l.ChainInto != "" {
		return chain(l.Path(), l.ChainInto, data)
	}
	return Content{Path: l.Path(), Data: data, Mode: hostfile.SecretMode}, nil
}

// Check checks the configuration with the plugins' parser, so that install rejects what the plugins would reject for
// every pod. It uses no real token.
func (l *List) Check() error {
	data, err := l.renderRedacted()
	if err != nil {
		return err
	}
	if l.ChainInto != "" {
		_, err := chain(l.Path(), l.ChainInto, data)
		return err
	}
	list, err := conflist.Load(l.Name, data)
	if err == nil {
		err = accept(list)
	}
	if err != nil {
		return fmt.Errorf("check %s: %w", l.Name, err)
	}
	return nil
}

func (l *List) renderRedacted() ([]byte, error) {
	values := l.values
	values.Token = "redacted"
	data, err := conflist.Render(l.Name, l.template, values)
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", l.Name, err)
	}
	return data, nil
}

// Install writes the configuration.
func (l *List) Install() error {
	content, err := l.Render()
	if err != nil {
		return err
	}
	written, err := l.write(content)
	if err != nil {
		return err
	}
	l.Log.Info("network configuration is in place",
		"path", content.Path, "written", written, "chained", l.ChainInto != "")
	return nil
}

// write writes the configuration. It replaces the list of another program only if that has not changed since it was
// read.
func (l *List) write(c Content) (bool, error) {
	if c.base == nil {
		return l.Record.Put(c.Path, c.Data, c.Mode)
	}
	if l.Record.SetChained(c.Path) {
		if err := l.Record.Save(); err != nil {
			return false, err
		}
	}
	return atomicfile.WriteFile(c.Path, c.Data, c.Mode, func(string) error {
		now, err := safeopen.ReadRegular(c.Path)
		if err == nil && !bytes.Equal(now, c.base) {
			err = fmt.Errorf("%s has changed since it was read; install again to include the change", c.Path)
		}
		return err
	})
}
