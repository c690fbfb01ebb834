// SPDX-License-Identifier: Apache-2.0

// Package contract tests the drivers of links, routes and neighbours together. One suite runs on the fake kernel and on
// the real one, in network namespaces that the tests create.
package contract
