// SPDX-License-Identifier: Apache-2.0

package reconcile

import "fmt"

// Status says what is in force after a round.
type Status struct {
	// Inputs says that all inputs are complete.
	Inputs bool
	// Parts has one element per driver, in the order of the drivers.
	Parts []Part
}

// Part is the status of one driver.
type Part struct {
	Name string
	// Applied says that the driver has applied a desired state at least once since the start.
	Applied bool
	// Last is the result of its last run.
	Last Result
	// Writes is the number of changes since the start.
	Writes int
}

// Ready reports whether the inputs are complete and each driver has applied a state. Single objects may be at fault.
func (s Status) Ready() bool {
	for _, p := range s.Parts {
		if !p.Applied {
			return false
		}
	}
	return s.Inputs
}

// Faults returns what could not be brought into force and why, one line each.
func (s Status) Faults() (lines []string) {
	for _, p := range s.Parts {
		if p.Last.Err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", p.Name, p.Last.Err))
		}
		for _, f := range p.Last.Faults {
			lines = append(lines, fmt.Sprintf("%s: %v", p.Name, f))
		}
	}
	return lines
}

// Waiting returns what is held back, one line each.
func (s Status) Waiting() (lines []string) {
	for _, p := range s.Parts {
		for _, w := range p.Last.Waiting {
			lines = append(lines, fmt.Sprintf("%s: waiting: %s", p.Name, w))
		}
	}
	return lines
}

// status returns the status of drivers.
func status[S any](runners []*runner[S], inputs bool) Status {
	s := Status{Inputs: inputs}
	for _, r := range runners {
		s.Parts = append(s.Parts, Part{Name: r.driver.Name, Applied: r.applied, Last: r.last, Writes: r.writes})
	}
	return s
}
