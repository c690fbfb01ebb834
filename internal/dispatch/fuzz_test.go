// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"calico-cni/internal/dispatch"
)

// FuzzRun runs a plugin with arbitrary input and environment. The plugin must not panic. It may print at most one JSON
// object: an error if and only if it fails, and a result only for ADD and VERSION.
func FuzzRun(f *testing.F) {
	for _, command := range []string{"ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "", "add"} {
		f.Add(command, "c0ffee", "eth0", "", "/opt/cni/bin", v110)
		f.Add(command, "", "..", "1", "", `{"cniVersion":"9","name":5}`)
		f.Add(command, "a\x00", "\xff", "", "", `{"CNIVERSION":"0.3.1","name":"\u0000"}`)
	}
	f.Fuzz(func(t *testing.T, command, containerID, ifName, override, path, stdin string) {
		i := invoke(command, stdin).set("CNI_CONTAINERID", containerID).set("CNI_IFNAME",
			ifName).set("CNI_NETNS_OVERRIDE", override).set("CNI_PATH", path)
		i.plugin.Add = ipv4Only(i)
		i.set("CNI_NETNS", own).run()

		var answer struct {
			Code              *uint
			Msg               string
			CNIVersion        string
			SupportedVersions []string
		}
		decoder := json.NewDecoder(&i.stdout)
		err := decoder.Decode(&answer)
		silent := err == io.EOF
		if err != nil && !silent || decoder.More() {
			t.Fatalf("standard output is not one JSON object: %v", err)
		}
		switch {
		case i.exit == 1:
			if silent || answer.Code == nil || answer.Msg == "" || strings.Contains(answer.Msg, "\n") ||
				answer.CNIVersion == "" || *answer.Code == 999 {
				t.Errorf("error is %+v", answer)
			}
		case i.exit != 0 || answer.Code != nil:
			t.Errorf("exit code %d with %+v", i.exit, answer)
		case command == "VERSION":
			if len(answer.SupportedVersions) != len(dispatch.Versions()) {
				t.Errorf("versions are %q", answer.SupportedVersions)
			}
		case silent == (command == "ADD") || len(i.called) != 1 || i.called[0] != command:
			t.Errorf("%v ran for %s; silent: %t", i.called, command, silent)
		}
	})
}
