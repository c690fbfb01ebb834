// SPDX-License-Identifier: Apache-2.0

// Package startup has the steps with which the node agent prepares a node and a cluster: the name and the addresses of
// the node, its annotations and its condition, the default pools and the other default objects. Each step decides with
// values; Cluster carries out what it decides.
package startup
