// SPDX-License-Identifier: Apache-2.0

package bgp

// ASNumber is the number of an autonomous system, of 32 bits.
//
// +kubebuilder:validation:Type=integer
// +kubebuilder:validation:Format=int64
// +kubebuilder:validation:Minimum=0
// +kubebuilder:validation:Maximum=4294967295
type ASNumber uint32

// Password is a password in a Secret.
type Password struct {
	// SecretKeyRef names the Secret, in the namespace of the node agent, and its key.
	SecretKeyRef *SecretKey `json:"secretKeyRef,omitempty"`
}

// SecretKey is a key of a Secret.
//
// +structType=atomic
type SecretKey struct {
	// Name of the Secret.
	// +kubebuilder:default=""
	Name string `json:"name,omitempty"`
	// Key in the Secret.
	// +required
	Key string `json:"key"`
	// Optional allows the Secret or the key to be absent.
	Optional *bool `json:"optional,omitempty"`
}
