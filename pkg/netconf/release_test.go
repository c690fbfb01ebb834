// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"strings"
	"testing"
)

func TestParseForReleaseOfInvalidConfiguration(t *testing.T) {
	for name, broken := range map[string]string{
		"wrong type": `"mtu": "large"`, "out of range": `"mtu": 5`, "unsupported": `"datastore_type": "etcdv3"`,
		"unknown value": `"log_level": "loud"`, "bad list": `"readiness_gates": 7`,
	} {
		conf, err := ParseForRelease([]byte(`{"name": "net", ` + broken + `, "ipam_lock_file": "/l",
			"ipam": {"type": "calico-ipam", "assign_ipv4": 7}, "kubernetes": {"kubeconfig": "/k", "node_name": []}}`))
		if err == nil {
			t.Errorf("%s: no error to log", name)
		}
		if conf.Name != "net" || conf.Kubernetes.Kubeconfig != "/k" || conf.IPAMLockFile != "/l" ||
			conf.IPAM.Type != CalicoIPAM {
			t.Errorf("%s: %+v", name, conf)
		}
	}
	conf, err := ParseForRelease([]byte(`{"name": "net", "kubernetes": {"kubeconfig": "/k"}, "ipam": 7}`))
	if err == nil || conf.IPAM.Type != CalicoIPAM || conf.IPAMLockFile != DefaultIPAMLockFile {
		t.Errorf("%v, %+v", err, conf)
	}
	conf, err = ParseForRelease([]byte(`{"name": "net", "ipam_lock_file": "/l\u0000",
		"kubernetes": {"kubeconfig": "/k\u0000"}}`))
	if err == nil || conf.IPAMLockFile != DefaultIPAMLockFile || conf.Kubernetes.Kubeconfig != "" {
		t.Errorf("paths with NUL bytes: %v, %+v", err, conf)
	}
	conf, err = ParseForRelease([]byte(`{"name": "net", "mtu": 1400, "ipam": {"type": "host-local"}}`))
	if err != nil || conf.IPAM.Type != "host-local" || conf.MTU != 1400 {
		t.Errorf("a good configuration: %v, %+v", err, conf)
	}
}

// FuzzParseForRelease checks for any input that the error is that of Parse and that the IPAM plugin is a file name.
func FuzzParseForRelease(f *testing.F) {
	for _, seed := range []string{
		minimal, full, emptied, "null", "[]", `{"name": 5, "ipam": {"type": "../x", "exec": "yes"}}`,
		`{"ipam": {"type": ""}}`, `{"mtu": -1, "ipam": {"type": "a\\b"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stdin []byte) {
		_, want := Parse(stdin)
		conf, err := ParseForRelease(stdin)
		if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() {
			t.Errorf("error %v, want that of Parse: %v", err, want)
		}
		if conf.IPAM.Type == "" || strings.ContainsAny(conf.IPAM.Type, `/\`) || conf.IPAMLockFile == "" {
			t.Errorf("%q is read as %+v", stdin, conf)
		}
	})
}
