// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestRemedy(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ENOSPC, "free space"},
		{syscall.EDQUOT, "free space"},
		{syscall.EROFS, "mount the directory read-write"},
		{syscall.EACCES, "run as root"},
		{syscall.EPERM, "run as root"},
		{fmt.Errorf("write: %w", &fs.PathError{Op: "open", Path: "/x", Err: syscall.ENOSPC}), "free space"},
		{fmt.Errorf("%w: CNI_MTU", ErrConfig), ""},
		{errors.New("no space left on device"), ""},
		{nil, ""},
	} {
		got := Remedy(tt.err)
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("Remedy(%v) = %q, want %q", tt.err, got, tt.want)
		}
		if got != "" && !strings.HasPrefix(got, "; ") {
			t.Errorf("Remedy(%v) = %q, which cannot be appended to an error", tt.err, got)
		}
	}
}
