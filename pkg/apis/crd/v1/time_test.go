// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"encoding/json"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"calico-cni/pkg/apis/crd/v1/spec"
)

func TestTimeMatchesMetav1Time(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", 60*rapid.IntRange(-840, 840).Draw(t, "minutes east"))
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799-86400).Draw(t, "seconds"),
			rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(zone)
		if rapid.Bool().Draw(t, "zero") {
			at = time.Time{}
		}
		want, wantErr := json.Marshal(metav1.Time{Time: at})
		got, err := json.Marshal(spec.Time{Time: at})
		if err != nil || wantErr != nil || string(got) != string(want) {
			t.Fatalf("%v is written %s (%v), want %s (%v)", at, got, err, want, wantErr)
		}
		var read spec.Time
		var wantRead metav1.Time
		for _, text := range []string{string(want), `"` + at.Format(time.RFC3339Nano) + `"`} {
			if json.Unmarshal([]byte(text), &wantRead) != nil {
				continue
			}
			if err := json.Unmarshal([]byte(text), &read); err != nil || !read.Equal(wantRead.Time) {
				t.Fatalf("%s is read as %v (%v), want %v", text, read, err, wantRead)
			}
		}
	})
	for _, text := range []string{`""`, `"yesterday"`, `1`, `{}`} {
		if err := json.Unmarshal([]byte(text), new(spec.Time)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
