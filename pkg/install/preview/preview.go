// SPDX-License-Identifier: Apache-2.0

// Package preview prints what an installation would change in text files, without secrets.
package preview

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/linediff"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// Printer prints to Out.
type Printer struct{ Out io.Writer }

// Printf prints formatted text.
func (p Printer) Printf(format string, args ...any) { _, _ = fmt.Fprintf(p.Out, format, args...) }

// File prints the difference between a file and its desired content, and returns the number of changed files, 0 or 1.
func (p Printer) File(path string, data []byte, mode fs.FileMode) (int, error) {
	same, err := atomicfile.Holds(path, bytes.NewReader(data), mode)
	if same || err != nil {
		return 0, err
	}
	before, err := safeopen.ReadRegular(path)
	oldName := path
	if errors.Is(err, fs.ErrNotExist) {
		oldName = os.DevNull
	} else if err != nil {
		return 0, err
	}
	diff := linediff.Unified(oldName, path, redact(before), redact(data))
	if diff == "" {
		diff = fmt.Sprintf("%s would be written: its mode, or a secret in it, is to change: %s\n",
			path, hostfile.Describe(path))
	}
	p.Printf("%s", diff)
	return 1, nil
}

var (
	// secretField matches a field in YAML or JSON whose value is a secret, up to the end of the value.
	secretField = regexp.MustCompile(`(?i)("?[a-z0-9_-]*` +
		`(?:token|password|secret|key-data|client_key|client-key)` +
		`[a-z0-9_-]*"?\s*:\s*)("(?:[^"\\]|\\.)*"|[^\s,}\]"][^,}\]\n]*)`)
	// jsonWebToken matches a token anywhere.
	jsonWebToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*`)
)

// redact replaces text that looks like a secret.
func redact(data []byte) string {
	data = secretField.ReplaceAll(data, []byte(`${1}"(secret)"`))
	return string(jsonWebToken.ReplaceAll(data, []byte("(secret)")))
}
