// SPDX-License-Identifier: Apache-2.0

package netconf

import "cmp"

// Defaults of fields that are absent or empty.
const (
	DefaultCNIVersion        = "0.2.0"
	DefaultNodenameFile      = "/var/lib/calico/nodename"
	DefaultIPAMLockFile      = "/var/run/calico/ipam.lock"
	DefaultEndpointStatusDir = "/var/run/calico/endpoint-status"
	DefaultNumQueues         = 1
	DefaultLogLevel          = "info"
	DefaultLogFileMaxSize    = 100
	DefaultLogFileMaxAge     = 30
	DefaultLogFileMaxCount   = 10
)

// normalize fills in the defaults and unifies alternative spellings.
func normalize(c *NetConf) {
	c.CNIVersion = cmp.Or(c.CNIVersion, DefaultCNIVersion)
	c.NumQueues = cmp.Or(c.NumQueues, DefaultNumQueues)
	c.DeviceType = cmp.Or(c.DeviceType, "veth")
	c.NodenameFile = cmp.Or(c.NodenameFile, DefaultNodenameFile)
	c.IPAMLockFile = cmp.Or(c.IPAMLockFile, DefaultIPAMLockFile)
	c.DatastoreType = cmp.Or(c.DatastoreType, kubernetesDatastore)
	c.CalicoAPIGroup = cmp.Or(c.CalicoAPIGroup, crdGroup)
	c.LogLevel = cmp.Or(c.LogLevel, DefaultLogLevel)
	c.LogFileMaxSize = cmp.Or(c.LogFileMaxSize, DefaultLogFileMaxSize)
	c.LogFileMaxAge = cmp.Or(c.LogFileMaxAge, DefaultLogFileMaxAge)
	c.LogFileMaxCount = cmp.Or(c.LogFileMaxCount, DefaultLogFileMaxCount)
	c.EndpointStatusDir = cmp.Or(c.EndpointStatusDir, DefaultEndpointStatusDir)
	if string(c.RawPrevResult) == "null" {
		c.RawPrevResult = nil
	}
}
