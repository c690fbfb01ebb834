// SPDX-License-Identifier: Apache-2.0

// Package conflist renders the network configuration list that the container runtime reads: ours, or a template of the
// user's with Calico's placeholders.
package conflist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Of the configuration that Render makes by itself.
const (
	// Name of the network. Calico's manifests use the same, and it is part of every IPAM handle.
	Name = "k8s-pod-network"
	// CNIVersion is older than what the plugins speak: every runtime since 2021 reads it.
	CNIVersion = "1.0.0"
)

// ErrInvalid says that what came out is not a configuration that a runtime would load.
var ErrInvalid = errors.New("invalid network configuration")

// Values are what differs from cluster to cluster and from node to node.
type Values struct {
	// NodeName as the node has it in Kubernetes.
	NodeName string
	// Kubeconfig is the path of the plugins' kubeconfig, as the host has it.
	Kubeconfig string
	// MTU in bytes; 0 has the plugin take it from the node agent's file, which RequireMTUFile makes it insist on.
	MTU            int
	RequireMTUFile bool
	// AssignIPv4 and AssignIPv6 choose the address families. Templates have their own.
	AssignIPv4, AssignIPv6 bool

	// LogLevel is "debug", "info", "warning" or "error"; the size is in MB, the age in days.
	LogLevel        string
	LogFilePath     string
	LogFileMaxSize  int
	LogFileMaxAge   int
	LogFileMaxCount int

	// For templates only: the defaults are what the plugins assume.
	DatastoreType string
	APIGroup      string
	ServiceHost   string
	ServicePort   string
	// Token is the secret behind __SERVICEACCOUNT_TOKEN__. No error shows it.
	Token string
}

// Render returns the configuration for a file of that name: ours when template is empty, else the template with its
// placeholders replaced. The result loads in a runtime: a list of plugins when the name ends in .conflist, a single
// plugin when it ends in .conf or .json. An error wraps ErrInvalid and says what is wrong.
func Render(filename, template string, v Values) ([]byte, error) {
	// What is checked has no secret that an error could quote. Escaped as it is, the token makes no difference.
	redacted := v
	redacted.Token = "redacted"
	data, err := redacted.fill(template)
	if err != nil {
		return nil, err
	}
	if _, err := Load(filename, data); err != nil {
		return nil, err
	}
	return v.fill(template)
}

func (v Values) fill(template string) ([]byte, error) {
	if template == "" {
		return v.list()
	}
	return expand(template, v)
}

type list struct {
	CNIVersion string `json:"cniVersion"`
	Name       string `json:"name"`
	Plugins    []any  `json:"plugins"`
}

type calico struct {
	Type            string     `json:"type"`
	LogLevel        string     `json:"log_level"`
	LogFilePath     string     `json:"log_file_path"`
	LogFileMaxSize  int        `json:"log_file_max_size"`
	LogFileMaxAge   int        `json:"log_file_max_age"`
	LogFileMaxCount int        `json:"log_file_max_count"`
	DatastoreType   string     `json:"datastore_type"`
	Nodename        string     `json:"nodename"`
	MTU             int        `json:"mtu"`
	RequireMTUFile  bool       `json:"require_mtu_file,omitempty"`
	IPAM            ipam       `json:"ipam"`
	Policy          policy     `json:"policy"`
	Kubernetes      kubernetes `json:"kubernetes"`
}

// ipam has its booleans as strings: that is what Calico's plugin decodes.
type ipam struct {
	Type       string `json:"type"`
	AssignIPv4 string `json:"assign_ipv4"`
	AssignIPv6 string `json:"assign_ipv6"`
}

type policy struct {
	Type string `json:"type"`
}

type kubernetes struct {
	Kubeconfig string `json:"kubeconfig"`
}

type portmap struct {
	Type         string          `json:"type"`
	SNAT         bool            `json:"snat"`
	Capabilities map[string]bool `json:"capabilities"`
}

func (v Values) list() ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(list{CNIVersion: CNIVersion, Name: Name, Plugins: []any{
		calico{
			Type: "calico", LogLevel: v.LogLevel, LogFilePath: v.LogFilePath,
			LogFileMaxSize: v.LogFileMaxSize, LogFileMaxAge: v.LogFileMaxAge, LogFileMaxCount: v.LogFileMaxCount,
			DatastoreType: "kubernetes", Nodename: v.NodeName, MTU: v.MTU, RequireMTUFile: v.RequireMTUFile,
			IPAM:   ipam{"calico-ipam", strconv.FormatBool(v.AssignIPv4), strconv.FormatBool(v.AssignIPv6)},
			Policy: policy{"k8s"}, Kubernetes: kubernetes{v.Kubeconfig},
		},
		portmap{"portmap", true, map[string]bool{"portMappings": true}},
	}})
	if err != nil {
		return nil, fmt.Errorf("encode network configuration: %w", err)
	}
	return out.Bytes(), nil
}
