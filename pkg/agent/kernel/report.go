// SPDX-License-Identifier: Apache-2.0

// Package kernel has what the drivers of the node agent share. A driver reads one part of the kernel's network,
// compares it with the desired state, and writes the difference. The comparison is a pure function of values.
package kernel

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"calico-cni/internal/deadline"
)

// Report is the result of one run of a driver.
type Report struct {
	// Writes is the number of changes that were made.
	Writes int
	// Waiting names what is held back until something else happens, such as routes whose link is down. It is no fault.
	Waiting []string
	// Faults are the objects that could not be written.
	Faults []error
	// Err says that the driver could not work at all.
	Err error
}

// Plan is the result of a comparison.
type Plan[C Change] struct {
	// Changes are in the order in which they are made.
	Changes []C
	// Waiting names what is held back, and why.
	Waiting []string
	// Faults are objects that cannot be brought to the desired state.
	Faults []error
}

// Change is one request to the kernel. Its text says what it does, such as "add route 10.65.0.0/26 via 10.0.0.2".
type Change interface {
	fmt.Stringer
	// Object identifies what is changed. After a failed change, later changes of the same object are skipped.
	Object() string
}

// Execute makes the changes of a plan. A failed change becomes a fault. The changes of other objects are still made.
func Execute[C Change](ctx context.Context, plan Plan[C], write func(C) error) Report {
	report := Report{Waiting: plan.Waiting, Faults: plan.Faults}
	failed := map[string]bool{}
	for _, c := range plan.Changes {
		if failed[c.Object()] {
			continue
		}
		if err := deadline.Cause(ctx); err != nil {
			report.Err = fmt.Errorf("%s: %w", c, err)
			return report
		}
		if err := write(c); err != nil {
			failed[c.Object()] = true
			report.Faults = append(report.Faults, fmt.Errorf("%s: %w", c, explain(err)))
			continue
		}
		report.Writes++
	}
	return report
}

// Failed returns the report of a driver that could not read the kernel.
func Failed(what string, err error) Report {
	return Report{Err: fmt.Errorf("%s: %w", what, explain(err))}
}

// explain adds the remedy to an error of the kernel that has one.
func explain(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: run the node agent in the network of the host, as root, with CAP_NET_ADMIN", err)
	}
	return err
}
