// SPDX-License-Identifier: Apache-2.0

package network

import (
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"calico-cni/conflist"
)

// noRecord records nothing.
type noRecord struct{}

func (noRecord) Put(string, []byte, fs.FileMode) (bool, error) { return false, nil }
func (noRecord) SetChained(string) bool                        { return false }
func (noRecord) Save() error                                   { return nil }

// TestWriteKeepsAChangeOfTheListsOwner lets the owner change the list after it was read.
func TestWriteKeepsAChangeOfTheListsOwner(t *testing.T) {
	dir := Dir(t.TempDir())
	l := New(Options{
		Dir: dir, Name: "10-calico.conflist", ChainInto: "05-other.conflist",
		Token: func() string { return "" }, Record: noRecord{}, Log: slog.New(slog.DiscardHandler),
	})
	l.SetContent(`{"name": "n", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]}`, conflist.Values{})
	const before = `{"name": "other", "cniVersion": "0.4.0", "plugins": [{"type": "tuning"}]}`
	write := func(text string) {
		if err := os.WriteFile(l.Path(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(before)
	content, err := l.Render()
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(before, "tuning", "bandwidth", 1)
	write(changed)
	if _, err := l.write(content); err == nil || !strings.Contains(err.Error(), "has changed since it was read") {
		t.Errorf("write = %v", err)
	}
	if data, err := os.ReadFile(l.Path()); err != nil || string(data) != changed {
		t.Errorf("the list is %s, %v; want %s", data, err, changed)
	}
}
