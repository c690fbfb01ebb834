// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// credential is the output of a plugin.
type credential struct {
	token       string
	certificate *tls.Certificate
}

// execCredential is the object that the plugin and the client exchange.
type execCredential struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Cluster     *execCluster `json:"cluster,omitempty"`
		Interactive bool         `json:"interactive"`
	} `json:"spec"`
	Status *struct {
		Token       string `json:"token"`
		Certificate string `json:"clientCertificateData"`
		Key         string `json:"clientKeyData"`
	} `json:"status,omitempty"`
}

// execCluster describes a cluster to a plugin.
type execCluster struct {
	cluster
	Config json.RawMessage `json:"config,omitempty"`
}

// configExtension is the extension of a cluster in a kubeconfig that is passed to plugins.
const configExtension = "client.authentication.k8s.io/exec"

// info returns what the program gets in its environment.
func (p *plugin) info() ([]byte, error) {
	object := execCredential{APIVersion: p.APIVersion, Kind: "ExecCredential"}
	if p.ProvideClusterInfo {
		told := &execCluster{cluster: p.cluster}
		told.CAFile, told.Extensions = "", nil
		for _, e := range p.cluster.Extensions {
			if e.Name == configExtension {
				told.Config = e.Extension
			}
		}
		object.Spec.Cluster = told
	}
	return json.Marshal(object)
}

// decode decodes the output of the program. Its errors do not quote the output.
func (p *plugin) decode(printed []byte) (credential, error) {
	var object execCredential
	if len(bytes.TrimSpace(printed)) == 0 {
		return credential{}, errors.New("it prints nothing")
	}
	if err := json.Unmarshal(printed, &object); err != nil || object.Kind != "ExecCredential" {
		return credential{}, errors.New("it prints no ExecCredential")
	}
	if object.APIVersion != p.APIVersion {
		return credential{}, errors.New("it prints an ExecCredential of another apiVersion than the kubeconfig has")
	}
	if object.Status == nil {
		return credential{}, errors.New("it prints an ExecCredential without status")
	}
	status := object.Status
	got := credential{token: strings.TrimSpace(status.Token)}
	switch {
	case got.token == "" && status.Certificate+status.Key == "":
		return credential{}, errors.New("it prints neither a token nor a client certificate")
	case (status.Certificate == "") != (status.Key == ""):
		return credential{}, errors.New("it prints only one of clientCertificateData and clientKeyData")
	case !isToken(got.token):
		return credential{}, fmt.Errorf("it prints an unusable token: %w", errNotToken)
	}
	if status.Certificate != "" {
		pair, err := keyPair([]byte(status.Certificate), []byte(status.Key))
		if err != nil {
			return credential{}, fmt.Errorf("it prints an unusable client certificate: %w", err)
		}
		got.certificate = &pair
	}
	return got, nil
}
