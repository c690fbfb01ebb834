// SPDX-License-Identifier: Apache-2.0

package startup

// Variable describes an environment variable in the documentation.
type Variable struct{ Name, Default, Meaning string }

// Variables describes the variables of start-up.
func Variables() []Variable {
	const detection = "; methods: first-found, kubernetes-internal-ip, can-reach=DESTINATION, interface=REGEX, " +
		"skip-interface=REGEX, cidr=CIDR"
	all := []Variable{
		{"NODENAME", "content of the nodename file, HOSTNAME, or the name of the host", "name of the node"},
		{"HOSTNAME", "", "name of the node if neither NODENAME nor the nodename file has one"},
		{"CALICO_NODENAME_FILE", DefaultNodeNameFile, "path of the nodename file"},
		{
			"CALICO_NETWORKING_BACKEND", string(BackendBIRD), "bird, vxlan, or none to leave the network of the cluster to " +
				"other software; bird and vxlan do not differ",
		},
		{
			"IP", "autodetect if the node has no address", "IPv4 address of the node: autodetect, none to keep the stored " +
				"one, an address, or an address with a prefix length",
		},
		{"IP_AUTODETECTION_METHOD", "first-found", "method of autodetect" + detection},
		{"IP6", "none", "IPv6 address of the node, like IP"},
		{"IP6_AUTODETECTION_METHOD", "first-found", "like IP_AUTODETECTION_METHOD"},
		{"AUTODETECT_POLL_INTERVAL", "1m", "time between two detections of the addresses of a running node"},
		{"AS", "", "number of the autonomous system of the node"},
		{"CLUSTER_TYPE", "k8s,kdd", "further components of the cluster, for ClusterInformation"},
		{"NO_DEFAULT_POOLS", "false", "creates no default pools"},
	}
	all = append(all, Variable{
		"CALICO_IPV4POOL_CIDR", "pod subnet of kubeadm, or 192.168.0.0/16", "CIDR of the default IPv4 pool, or none",
	}, Variable{"CALICO_IPV4POOL_IPIP", modeNever, "IPIP of the default IPv4 pool: Never, Always or CrossSubnet"})
	all = append(all, poolVariables("CALICO_IPV4POOL_", "IPv4", "26", "true")...)
	all = append(all, Variable{
		"CALICO_IPV6POOL_CIDR", "pod subnet of kubeadm, or a random unique local prefix",
		"CIDR of the default IPv6 pool, or none",
	})
	return append(all, poolVariables("CALICO_IPV6POOL_", "IPv6", "122", "false")...)
}

// poolVariables describes the variables that the pools of both families have.
func poolVariables(prefix, family, blockSize, nat string) []Variable {
	of := " of the default " + family + " pool"
	return []Variable{
		{prefix + "VXLAN", modeNever, "VXLAN" + of + ": Never, Always or CrossSubnet"},
		{prefix + "BLOCK_SIZE", blockSize, "prefix length of the blocks" + of},
		{prefix + "NAT_OUTGOING", nat, "translates the source of packets that leave the pools"},
		{prefix + "NODE_SELECTOR", "all()", "nodes" + of},
		{prefix + "DISABLE_BGP_EXPORT", "false", "keeps the routes" + of + " out of BGP"},
	}
}
