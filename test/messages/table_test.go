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
	// code is the CNI code; says names the cause, remedy what cures it. Both are parts of the message.
	code         uint
	says, remedy string
	// not is text that would mislead here, of another cause.
	not string
	// kinds are the errors of cnierr's table that the error wraps.
	kinds []error
}

// rows returns all rows.
func rows() (all []row) {
	for _, part := range [][]row{configurationRows(), environmentRows(), kubeconfigRows(), tlsRows(), serverRows(), poolRows(), nodeRows(), dataplaneRows()} {
		all = append(all, part...)
	}
	return all
}

func TestEveryMessageNamesItsCauseAndARemedy(t *testing.T) {
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
				t.Errorf("%q is of another cause: %s", r.not, got.msg)
			}
			for _, kind := range r.kinds {
				if !errors.Is(got.err, kind) {
					t.Errorf("not of the kind %q: %s", kind, got.msg)
				}
			}
			checkStyle(t, got.msg)
		})
	}
}
