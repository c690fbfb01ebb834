// SPDX-License-Identifier: Apache-2.0

// Package conflist renders the network configuration that container runtimes read: the built-in list, or a template
// with Calico's placeholders. It also adds a plugin to the list of another program, and removes it.
package conflist

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Name and version of the built-in configuration.
const (
	// Name of the network. Calico's manifests use the same, and it is part of every IPAM handle.
	Name = "k8s-pod-network"
	// CNIVersion is lower than the highest version of the plugins: every runtime since 2021 supports it.
	CNIVersion = "1.0.0"
)

// ErrInvalid: a runtime does not load the configuration.
var ErrInvalid = errors.New("invalid network configuration")

// Values are the settings of a cluster and a node.
type Values struct {
	// NodeName is the name of the node in Kubernetes.
	NodeName string
	// Kubeconfig is the path of the plugins' kubeconfig on the host.
	Kubeconfig string
	// MTU in bytes. With 0 the plugin reads the node agent's file, which must exist if RequireMTUFile is set.
	MTU            int
	RequireMTUFile bool
	// AssignIPv4 and AssignIPv6 select the address families of the built-in configuration.
	AssignIPv4, AssignIPv6 bool

	// LogLevel is "debug", "info", "warning" or "error"; the size is in MB, the age in days.
	LogLevel        string
	LogFilePath     string
	LogFileMaxSize  int
	LogFileMaxAge   int
	LogFileMaxCount int

	// The following fields are only for templates.
	DatastoreType string
	APIGroup      string
	ServiceHost   string
	ServicePort   string
	// Token replaces __SERVICEACCOUNT_TOKEN__. Errors do not contain it.
	Token string
}

// Render returns the configuration for a file of that name: the built-in one if template is empty, else the template
// with its placeholders replaced. A runtime can load the result: a list of plugins if the name ends in .conflist, a
// single plugin if it ends in .conf or .json. An error wraps ErrInvalid and names the fault.
func Render(filename, template string, v Values) ([]byte, error) {
	// Errors may quote the configuration, so the one to check has no token. The token is escaped: it does not make the
	// configuration invalid.
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
	CalicoAPIGroup  string     `json:"calico_api_group"`
	Nodename        string     `json:"nodename"`
	MTU             int        `json:"mtu"`
	RequireMTUFile  bool       `json:"require_mtu_file"`
	IPAM            ipam       `json:"ipam"`
	Policy          policy     `json:"policy"`
	Kubernetes      kubernetes `json:"kubernetes"`
}

// ipam has booleans as strings, as Calico's plugin decodes them.
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
			DatastoreType: "kubernetes", CalicoAPIGroup: v.APIGroup,
			Nodename: v.NodeName, MTU: v.MTU, RequireMTUFile: v.RequireMTUFile,
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
