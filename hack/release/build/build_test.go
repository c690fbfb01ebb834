// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"testing"
)

func TestPlatforms(t *testing.T) {
	for list, want := range map[string]string{
		"linux/amd64":              "[linux/amd64]",
		"linux/arm64, linux/s390x": "[linux/arm64 linux/s390x]",
		"":                         `platform "": want one of [linux/amd64 linux/arm64 linux/s390x linux/ppc64le]`,
		"linux":                    `platform "linux": want one of [linux/amd64 linux/arm64 linux/s390x linux/ppc64le]`,
		"windows/amd64": `platform "windows/amd64": want one of [linux/amd64 linux/arm64 linux/s390x ` +
			`linux/ppc64le]`,
		"linux/amd64,linux/amd64": `platform "linux/amd64" is listed twice`,
	} {
		platforms, err := Parse(list)
		got := fmt.Sprint(platforms)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("Parse(%q): %s, want %s", list, got, want)
		}
	}
}

func TestValidateVersion(t *testing.T) {
	for version, want := range map[string]bool{
		"v1.2.3": true, "0a32b87-dirty": true, "v1.0.0-rc.1": true,
		"": false, "v1+2": false, "v1 -X a=b": false, "../v1": false, "-v": false,
	} {
		if got := (Tree{Version: version}).Validate() == nil; got != want {
			t.Errorf("version %q is taken: %v, want %v", version, got, want)
		}
	}
}
