package netconf

import "testing"

func TestADelFindsWhatItNeedsInABrokenConfiguration(t *testing.T) {
	for name, broken := range map[string]string{
		"wrong type": `"mtu": "large"`, "out of range": `"mtu": 5`, "unsupported": `"datastore_type": "etcdv3"`,
		"unknown value": `"log_level": "loud"`, "bad list": `"readiness_gates": 7`,
	} {
		conf, err := ParseForRelease([]byte(`{"name": "net", ` + broken + `, "ipam_lock_file": "/l",
			"ipam": {"type": "calico-ipam", "assign_ipv4": 7}, "kubernetes": {"kubeconfig": "/k", "node_name": []}}`))
		if err == nil {
			t.Errorf("%s: no error to log", name)
		}
		if conf.Name != "net" || conf.Kubernetes.Kubeconfig != "/k" || conf.IPAMLockFile != "/l" || conf.IPAM.Type != CalicoIPAM {
			t.Errorf("%s: %+v", name, conf)
		}
	}
	conf, err := ParseForRelease([]byte(`{"name": "net", "kubernetes": {"kubeconfig": "/k"}, "ipam": 7}`))
	if err == nil || conf.IPAM.Type != CalicoIPAM || conf.IPAMLockFile != DefaultIPAMLockFile {
		t.Errorf("%v, %+v", err, conf)
	}
	conf, err = ParseForRelease([]byte(`{"name": "net", "mtu": 1400, "ipam": {"type": "host-local"}}`))
	if err != nil || conf.IPAM.Type != "host-local" || conf.MTU != 1400 {
		t.Errorf("a good configuration: %v, %+v", err, conf)
	}
}
