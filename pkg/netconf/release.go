// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"strings"
)

// ParseForRelease reads the fields that a DEL needs, from a configuration that Parse may reject. The configuration may
// have changed since the ADD, but the attachment must still be removable. An unreadable field counts as absent. The
// error is that of Parse, for the log. The configuration is valid in any case.
//
// Source: CNI specification 1.1.0, section 4: a DEL does all it can.
func ParseForRelease(stdin []byte) (*NetConf, error) {
	conf, err := Parse(stdin)
	if err == nil {
		return conf, nil
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(stdin, &fields)
	conf = &NetConf{
		Name: text(fields, "name"), Type: text(fields, "type"), IPAMLockFile: text(fields, "ipam_lock_file"),
		IPAM: IPAM{Type: text(object(fields, "ipam"), "type")},
		Kubernetes: Kubernetes{
			Kubeconfig: text(object(fields, "kubernetes"), "kubeconfig"),
			APIRoot:    text(object(fields, "kubernetes"), "k8s_api_root"),
		},
	}
	_ = json.Unmarshal(object(fields, "ipam")["exec"], &conf.IPAM.Exec)
	// An unreadable section is treated as calico-ipam, because a release without addresses is harmless.
	if conf.IPAM.Type == "" || !isFileName(conf.IPAM.Type) {
		conf.IPAM.Type = CalicoIPAM
	}
	normalize(conf)
	return conf, err
}

func object(fields map[string]json.RawMessage, name string) map[string]json.RawMessage {
	var inner map[string]json.RawMessage
	_ = json.Unmarshal(fields[name], &inner)
	return inner
}

func text(fields map[string]json.RawMessage, name string) string {
	var value string
	_ = json.Unmarshal(fields[name], &value)
	if strings.ContainsRune(value, 0) {
		return ""
	}
	return value
}
