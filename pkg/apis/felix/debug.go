// SPDX-License-Identifier: Apache-2.0

package felix

// Debug configures profiles and simulated faults of the node agent.
type Debug struct {
	// DebugHost is the address for profiles. The default is localhost.
	DebugHost string `json:"debugHost,omitempty"`
	// DebugPort is the port for profiles. Absent disables them.
	DebugPort *int `json:"debugPort,omitempty"`
	// DebugMemoryProfilePath is the file for a memory profile, which a signal requests.
	DebugMemoryProfilePath string `json:"debugMemoryProfilePath,omitempty"`
	// DebugDisableLogDropping keeps messages that would be dropped under load. The default is false.
	DebugDisableLogDropping *bool `json:"debugDisableLogDropping,omitempty"`
	// DebugSimulateCalcGraphHangAfter stops the calculation after this time, for tests.
	DebugSimulateCalcGraphHangAfter Duration `json:"debugSimulateCalcGraphHangAfter,omitempty"`
	// DebugSimulateDataplaneHangAfter stops the data plane after this time, for tests.
	DebugSimulateDataplaneHangAfter Duration `json:"debugSimulateDataplaneHangAfter,omitempty"`
	// DebugSimulateDataplaneApplyDelay delays each write of the data plane, for tests.
	DebugSimulateDataplaneApplyDelay Duration `json:"debugSimulateDataplaneApplyDelay,omitempty"`
	// GoGCThreshold is the percentage of Go's garbage collector. The default is 40.
	GoGCThreshold *int `json:"goGCThreshold,omitempty"`
	// GoMaxProcs is the number of threads that run Go code at once. -1 (default) means all CPUs.
	GoMaxProcs *int `json:"goMaxProcs,omitempty"`
	// GoMemoryLimitMB is the memory above which the garbage collector works harder, in MB. -1 (default) means no limit.
	GoMemoryLimitMB *int `json:"goMemoryLimitMB,omitempty"`
}
