// SPDX-License-Identifier: Apache-2.0

// Package controllers defines the content of a KubeControllersConfiguration, the configuration of the controllers that
// run once in a cluster. It is the same in the API groups crd.projectcalico.org and projectcalico.org.
//
// +kubebuilder:object:generate=true
// +kubebuilder:validation:Optional
package controllers
