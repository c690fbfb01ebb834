package netconf

import (
	"encoding/json"
)

// ParseForRelease reads what a DEL cannot do without, from a configuration that Parse may refuse: it may have been changed
// since the ADD, and an attachment must be removable whatever somebody wrote into the file. A field that cannot be
// read counts as absent. The error is that of Parse, for the log; the configuration is there in any case.
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
			Kubeconfig: text(object(fields, "kubernetes"), "kubeconfig"), APIRoot: text(object(fields, "kubernetes"), "k8s_api_root"),
		},
	}
	_ = json.Unmarshal(object(fields, "ipam")["exec"], &conf.IPAM.Exec)
	// Our own is what an unreadable section is taken for: to look for addresses that are not there does no harm.
	if conf.IPAM.Type == "" || !isFileName(conf.IPAM.Type) {
		conf.IPAM.Type = CalicoIPAM
	}
	conf.normalize()
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
	return value
}
