// SPDX-License-Identifier: Apache-2.0

// Package model has the objects of the cluster that the node agent works with, as small values, and the conversions
// from the API. It is pure.
//
// A value has only the fields that a computation needs. The agent can therefore keep thousands of them, and an update
// of an object that changes nothing of interest converts to an equal value and causes no work. Both API groups of
// Calico have the same contents, so one conversion serves both.
//
// A conversion returns findings instead of an error. A field that is not valid counts as absent. If the object is of no
// use without the field, the conversion returns false.
package model

import "fmt"

// Finding is a problem of an object that an administrator can solve. Equal problems have equal findings.
type Finding struct {
	// Kind and Name identify the object.
	Kind, Name string
	// Field is the path of the field, such as spec.cidr. It is empty if the problem is not in one field.
	Field string
	// Problem says what is wrong and what follows from it.
	Problem string
	// Remedy says what to do.
	Remedy string
}

// String returns the finding as one line.
func (f Finding) String() string {
	field := ""
	if f.Field != "" {
		field = f.Field + ": "
	}
	return fmt.Sprintf("%s %s: %s%s; %s", f.Kind, f.Name, field, f.Problem, f.Remedy)
}

// The kinds of objects in findings.
const (
	KindNode   = "Node"
	KindIPPool = "IPPool"
	KindBlock  = "IPAMBlock"
	KindFelix  = "FelixConfiguration"
)

// Family is an IP family.
type Family int

// The IP families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// String returns IPv4 or IPv6.
func (f Family) String() string { return fmt.Sprintf("IPv%d", int(f)) }

// Bits returns the length of an address.
func (f Family) Bits() int {
	if f == IPv4 {
		return 32
	}
	return 128
}
