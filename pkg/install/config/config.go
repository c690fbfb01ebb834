// SPDX-License-Identifier: Apache-2.0

// Package config reads the configuration of install from flags and environment variables.
package config

import (
	"fmt"
	"strconv"
	"time"

	"calico-cni/pkg/install/credentials"
)

// Verb is the action of a run.
type Verb string

// The verbs. Without one, install installs.
const (
	VerbInstall   Verb = ""
	VerbUninstall Verb = "uninstall"
	VerbStatus    Verb = "status"
	VerbVersion   Verb = "version"
)

// Config is the configuration of the operator. Parse reads it from flags and environment variables.
type Config struct {
	Verb Verb
	// DryRun prints what would change, and changes nothing.
	DryRun bool
	// Output is the format of status: "text" or "json".
	Output string

	// HostRoot is where the host's directories are mounted. See Layout.
	HostRoot string
	// BinSource is the directory of the binaries to install. SkipBinaries names binaries that are not installed.
	// UpdateBinaries replaces binaries that the host already has. At the start, Downgrade also replaces those of a newer
	// version.
	BinSource      string
	SkipBinaries   []string
	UpdateBinaries bool
	Downgrade      bool

	// NetDir is the path of the configuration directory on the host, for paths in files. install writes to the mount below
	// HostRoot. OldConfName is removed after ConfName is written.
	NetDir      string
	ConfName    string
	OldConfName string
	// NetworkConfig is a template with Calico's placeholders. NetworkConfigFile is the path of one, and takes precedence.
	// Without either, package conflist renders the configuration from the fields below.
	NetworkConfig     string
	NetworkConfigFile string
	// ChainInto is a list in NetDir to add the plugin to, instead of writing ConfName. Exclusive moves all other
	// configurations aside.
	ChainInto string
	Exclusive bool

	// NodeName is the name of the node in Kubernetes. Empty means the host's name in lower case.
	NodeName string
	// MTU in bytes. With 0, the plugin reads the file that the node agent writes.
	MTU                    int
	RequireMTUFile         bool
	AssignIPv4, AssignIPv6 bool
	// LogLevel and the following fields configure the plugins' log: size in MB, age in days.
	LogLevel        string
	LogFilePath     string
	LogFileMaxSize  int
	LogFileMaxAge   int
	LogFileMaxCount int
	// DatastoreType is KubernetesDatastore. Empty means the same.
	DatastoreType string
	// APIGroup is CRDGroup or V3Group. Empty means that the API server is asked.
	APIGroup string

	// The API server as the plugins reach it. With SkipTLSVerify they accept any certificate.
	ServiceHost     string
	ServicePort     string
	ServiceProtocol string
	SkipTLSVerify   bool
	// Kubeconfig is the file with the installer's own credentials. Empty means the pod's service account.
	Kubeconfig string
	// ServiceAccount is the account of the plugins, in Namespace. An empty namespace means the pod's own.
	ServiceAccount string
	Namespace      string
	// TokenRefresh is the age at which a watching process renews the token: a duration, or seconds. Empty means a
	// quarter of its lifetime.
	TokenRefresh string
	// ServiceAccountDir has token, ca.crt and namespace, as Kubernetes mounts them into pods.
	ServiceAccountDir string

	// Sleep keeps the process running after the installation, for a container that is not an init container.
	Sleep bool
	// Watch renews the token and repairs changes until the process is stopped.
	Watch bool
	// HealthAddr is the host:port at which a watching process serves readiness and metrics. Empty means none.
	HealthAddr string
	// CleanupOnExit uninstalls when a watching process is stopped.
	CleanupOnExit bool
	// NodeFiles also writes the files of a node agent to var/lib/calico below HostRoot: nodename and mtu.
	NodeFiles bool
}

// calicoConfName is the file in which Calico writes its network configuration.
const calicoConfName = "10-calico.conflist"

// OldConf returns the name of the configuration to remove, empty for none. As with Calico, the default is Calico's
// file: under its name the runtime could prefer it to ConfName.
func (c Config) OldConf() string {
	if c.OldConfName == "" && c.ChainInto == "" {
		return calicoConfName
	}
	return c.OldConfName
}

// Layout returns the host's directories as they are mounted.
func (c Config) Layout() Layout { return Layout{HostRoot: c.HostRoot, HostNetDir: c.NetDir} }

// Server returns the API server as the plugins reach it.
func (c Config) Server() credentials.Server {
	return credentials.Server{
		Protocol: c.ServiceProtocol, Host: c.ServiceHost, Port: c.ServicePort,
		SkipTLSVerify: c.SkipTLSVerify, ServiceAccountDir: c.ServiceAccountDir,
	}
}

// MonitoredDirs returns the directories, as they are mounted, whose changes wake a watching process.
func (c Config) MonitoredDirs() []string {
	l := c.Layout()
	return append(l.ManagedDirs(c.NodeFiles), c.ServiceAccountDir, l.ConditionsDir(), l.QueueDir())
}

// TokenAge returns the age at which to renew a token, 0 if its lifetime decides.
func (c Config) TokenAge() (time.Duration, error) {
	if c.TokenRefresh == "" {
		return 0, nil
	}
	age, err := time.ParseDuration(c.TokenRefresh)
	if seconds, e := strconv.Atoi(c.TokenRefresh); e == nil {
		age, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || age < 0 || age > 0 && age < time.Second {
		return 0, fmt.Errorf("CNI_TOKEN_REFRESH_INTERVAL %q: want a duration such as 6h, or seconds, of 1s at least",
			c.TokenRefresh)
	}
	return age, nil
}
