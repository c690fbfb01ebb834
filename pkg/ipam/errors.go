// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of the allocator and its stores; match them with errors.Is.
var (
	// ErrNotFound: the row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists: a row of that key exists already.
	ErrExists = errors.New("already exists")
	// ErrConflict: the row was written since it was read.
	ErrConflict = errors.New("was changed concurrently")
	// ErrContended: many attempts to write a row met a conflict, and none succeeded. A retry may succeed.
	ErrContended = errors.New("too many conflicts")
	// ErrNotReady: the datastore is locked, for example during an upgrade. A retry succeeds after it is unlocked.
	ErrNotReady = errors.New("datastore is not ready")
	// ErrNoAddress: no pool has an address for the request. A retry succeeds after addresses are released or a pool
	// is added.
	ErrNoAddress = errors.New("no address available")
	// ErrAddrTaken: the requested address is allocated to another handle.
	ErrAddrTaken = errors.New("requested address is taken")
	// ErrAddrCooling: the requested address was released, and its cooldown is not over. A retry succeeds afterwards.
	ErrAddrCooling = errors.New("requested address is in its cooldown")
	// ErrBorrowForbidden: the requested address lies in a block of another owner, and affinity is strict.
	ErrBorrowForbidden = errors.New("requested address cannot be borrowed")
	// ErrReleased: the handle was released during the assignment, because its container or another interface of it is
	// being deleted. If the container stays, a retry succeeds.
	ErrReleased = errors.New("handle was released concurrently")
	// ErrHandleTaken: the handle of another container has the same name in the store.
	ErrHandleTaken = errors.New("handle is taken")
	// ErrMalformed: a stored row violates the data model.
	ErrMalformed = errors.New("malformed row")
)

// NoAddressError says for each pool why a request got no address. It wraps ErrNoAddress.
type NoAddressError struct {
	// IPv6 is the family of the request.
	IPv6 bool
	// Reasons has entries of the form "pool: cause (remedy)", and causes that concern single blocks.
	Reasons []string
}

// Error names the IP family, and the cause and remedy for each pool.
func (e *NoAddressError) Error() string {
	family := "IPv4"
	if e.IPv6 {
		family = "IPv6"
	}
	if len(e.Reasons) == 0 {
		return fmt.Sprintf("assign %s address: %v: there is no %s pool; create an IPPool", family, ErrNoAddress, family)
	}
	return fmt.Sprintf("assign %s address: %v: %s", family, ErrNoAddress, strings.Join(e.Reasons, "; "))
}

// Unwrap returns ErrNoAddress.
func (e *NoAddressError) Unwrap() error { return ErrNoAddress }
