// SPDX-License-Identifier: Apache-2.0

// Package buildinfo holds the build information of the binaries.
package buildinfo

// Version is set by the linker: -X calico-cni/internal/buildinfo.Version=v1.2.3.
var Version = "unversioned"
