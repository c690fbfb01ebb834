// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"errors"
	"strings"
	"testing"
)

// row is one cause of an error.
type row struct {
	cause string
	by    func(t *testing.T) outcome
	// code is the CNI code. says and remedy are the parts of the message that name the cause and the remedy.
	code         uint
	says, remedy string
	// not is text of another cause, which would be misleading.
	not string
	// kinds are the errors of pkg/cnierr's table that the error wraps.
	kinds []error
}

// rows returns all rows.
func rows() (all []row) {
	for _, part := range [][]row{
		configurationRows(), environmentRows(), kubeconfigRows(), tlsRows(), serverRows(), poolRows(), nodeRows(),
		releaseRows(), dataplaneRows(),
	} {
		all = append(all, part...)
	}
	return all
}

func TestMessagesNameCauseAndRemedy(t *testing.T) {
	for _, r := range rows() {
		t.Run(strings.ReplaceAll(r.cause, " ", "_"), func(t *testing.T) {
			got := r.by(t)
			t.Logf("%d: %s", got.code, got.msg)
			if got.code != r.code {
				t.Errorf("code %d, want %d", got.code, r.code)
			}
			for _, part := range []string{r.says, r.remedy} {
				if part == "" || !strings.Contains(got.msg, part) {
					t.Errorf("%q is not in: %s", part, got.msg)
				}
			}
			if r.not != "" && strings.Contains(got.msg, r.not) {
				t.Errorf("%q describes another cause: %s", r.not, got.msg)
			}
			for _, kind := range r.kinds {
				if !errors.Is(got.err, kind) {
					t.Errorf("the error does not wrap %q: %s", kind, got.msg)
				}
			}
			checkStyle(t, got.msg)
		})
	}
}
