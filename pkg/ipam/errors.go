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
	ErrConflict = errors.New("changed meanwhile")
	// ErrContended: the same row changed under every one of many attempts. A retry may cure it.
	ErrContended = errors.New("too many conflicts")
	// ErrNotReady: the datastore is locked, as during an upgrade. A retry cures it once it is unlocked.
	ErrNotReady = errors.New("datastore is not ready")
	// ErrNoAddress: no pool has an address to give. A retry cures it once addresses are freed or a pool is added.
	ErrNoAddress = errors.New("no address available")
	// ErrAddrTaken: the address asked for is held by somebody else.
	ErrAddrTaken = errors.New("requested address is taken")
	// ErrReleased: the handle was released while addresses were being assigned to it. Its container is being deleted.
	ErrReleased = errors.New("handle was released meanwhile")
	// ErrHandleTaken: another container's handle has the same name in the store.
	ErrHandleTaken = errors.New("handle is taken")
	// ErrMalformed: a stored row breaks the data model.
	ErrMalformed = errors.New("malformed row")
)

// NoAddressError says, pool by pool, why a request got no address. It is an ErrNoAddress.
type NoAddressError struct {
	// IPv6 is the family of the request.
	IPv6 bool
	// Reasons has one entry for each pool, "pool: cause (remedy)".
	Reasons []string
}

// Error names the family, and the cause and the remedy of each pool.
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
