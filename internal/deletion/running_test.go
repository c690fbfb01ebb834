// SPDX-License-Identifier: Apache-2.0

package deletion

import "testing"

// TestSweepKeepsTheRecordOfARunningDEL repeats a DEL whose record has expired while another DEL sweeps.
func TestSweepKeepsTheRecordOfARunningDEL(t *testing.T) {
	records, clock := clocked(t)
	complete(t, open(t, records, key, Main, "a"))
	*clock += maxAge
	running := open(t, records, key, Main, "a") // the repeated DEL, 10 min later, in an outage
	other := Key{"net", "other", "eth0"}
	open(t, records, other, Main, "a") // another container's DEL sweeps
	if !running.Current() {
		t.Error("the DEL takes the sweep for an ADD: its release is not queued")
	}
}
