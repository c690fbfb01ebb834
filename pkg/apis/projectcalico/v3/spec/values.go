// SPDX-License-Identifier: Apache-2.0

package spec

// GroupVersion is the API group and version of every object.
const GroupVersion = "projectcalico.org/v3"

// IPAMConfigurations is the plural name of the resource. The other resources have the same names in both groups.
const IPAMConfigurations = "ipamconfigurations"
