// SPDX-License-Identifier: Apache-2.0

// Package watch keeps tables of small values up to date with the objects of the API server. Each kind has one table. A
// Reflector of client-go fills it, and converts each object to a value as soon as it is decoded, so that no whole
// object is kept.
package watch
