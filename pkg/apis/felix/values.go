// SPDX-License-Identifier: Apache-2.0

package felix

// Duration is a number with a unit, such as "90s", "500ms" or "1h30m".
//
// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))*$`
type Duration string

// ConntrackTimeout is a duration, or "Auto" for the timeout that the kernel uses.
//
// +kubebuilder:validation:Pattern=`^(([0-9]*(\.[0-9]*)?(ms|s|h|m|us)+)+|Auto)$`
type ConntrackTimeout string

// Switch is Enabled or Disabled.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

// Values of Switch.
const (
	Enabled  Switch = "Enabled"
	Disabled Switch = "Disabled"
)

// LogLevel is Trace, Debug, Info, Warning, Error or Fatal, in any case.
//
// +kubebuilder:validation:Pattern=`^(?i)(Trace|Debug|Info|Warning|Error|Fatal)?$`
type LogLevel string

// AllowAction is Accept, or Return to let the following rules of the host see the packet, in any case.
//
// +kubebuilder:validation:Pattern=`^(?i)(Accept|Return)?$`
type AllowAction string

// DenyAction is Drop, or Reject to inform the sender, in any case.
//
// +kubebuilder:validation:Pattern=`^(?i)(Drop|Reject)?$`
type DenyAction string

// Mark is a set of bits of the packet mark.
//
// +kubebuilder:validation:Minimum=0
// +kubebuilder:validation:Maximum=4294967295
// +kubebuilder:validation:Format=int64
type Mark uint32

// Address is an IP address.
//
// +kubebuilder:validation:MaxLength=45
type Address string

// HostPort is a port of the host, for the addresses of a range.
type HostPort struct {
	// Protocol is TCP, UDP or SCTP. The default is TCP.
	Protocol string `json:"protocol,omitempty"`
	// Port is the number of the port.
	// +required
	Port int `json:"port"`
	// Net is the CIDR of the other side; absent means any.
	Net string `json:"net,omitempty"`
}

// RouteTableRange is a range of numbers of routing tables.
//
// +kubebuilder:validation:XValidation:rule="self.min >= 1 && self.min <= self.max",message="a range of route tables needs 1 <= min <= max"
type RouteTableRange struct {
	// Min is the first number.
	// +required
	Min int `json:"min"`
	// Max is the last number.
	// +required
	Max int `json:"max"`
}

// HealthTimeout is a timeout of one part of the node agent.
type HealthTimeout struct {
	// Name of the part.
	// +required
	Name string `json:"name"`
	// Timeout after which the part counts as stuck, a duration.
	// +required
	Timeout string `json:"timeout"`
}
