// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// refusal is an object that both groups refuse, with a part of the message.
type refusal struct{ kind, name, spec, want string }

var refusedPolicies = map[string]refusal{
	"rule without action":                {"GlobalNetworkPolicy", "", `{ingress: [{protocol: TCP}]}`, "action: Required value"},
	"unknown action":                     {"GlobalNetworkPolicy", "", `{egress: [{action: Drop}]}`, `Unsupported value: "Drop"`},
	"unknown direction":                  {"NetworkPolicy", "", `{types: [Inbound]}`, `Unsupported value: "Inbound"`},
	"empty list of directions":           {"NetworkPolicy", "", `{types: []}`, "at least 1 items"},
	"direction twice":                    {"NetworkPolicy", "", `{types: [Egress, Egress]}`, "Duplicate value"},
	"net twice":                          {"NetworkPolicy", "", `{ingress: [{action: Allow, source: {nets: [10.0.0.0/8, 10.0.0.0/8]}}]}`, "Duplicate value"},
	"selector too long":                  {"GlobalNetworkPolicy", "", `{selector: "` + strings.Repeat("x", 1025) + `"}`, "may not be more than 1024"},
	"unknown IP version":                 {"NetworkPolicy", "", `{ingress: [{action: Allow, ipVersion: 5}]}`, "Unsupported value: 5"},
	"ports of ICMP":                      {"NetworkPolicy", "", `{ingress: [{action: Allow, protocol: ICMP, destination: {ports: [80]}}]}`, "only protocols TCP, UDP and SCTP have ports"},
	"ports of protocol 47":               {"GlobalNetworkPolicy", "", `{egress: [{action: Allow, protocol: 47, source: {notPorts: [http]}}]}`, "only protocols TCP, UDP and SCTP have ports"},
	"port without protocol":              {"GlobalNetworkPolicy", "", `{ingress: [{action: Allow, destination: {ports: [http, 80]}}]}`, "ports need a protocol"},
	"excluded port without protocol":     {"StagedNetworkPolicy", "", `{egress: [{action: Allow, source: {notPorts: [80]}}]}`, "ports need a protocol"},
	"ICMP type of TCP":                   {"NetworkPolicy", "", `{ingress: [{action: Allow, protocol: TCP, icmp: {type: 8}}]}`, "need protocol ICMP or ICMPv6"},
	"ICMP type of protocol 6":            {"NetworkPolicy", "", `{ingress: [{action: Allow, protocol: 6, notICMP: {type: 8}}]}`, "need protocol ICMP or ICMPv6"},
	"ICMP type without protocol":         {"NetworkPolicy", "", `{ingress: [{action: Allow, notICMP: {type: 8}}]}`, "need protocol ICMP or ICMPv6"},
	"ICMP code without type":             {"NetworkPolicy", "", `{ingress: [{action: Allow, protocol: ICMP, icmp: {code: 0}}]}`, "an ICMP code needs a type"},
	"ICMP type of 255":                   {"NetworkPolicy", "", `{ingress: [{action: Allow, protocol: ICMP, icmp: {type: 255}}]}`, "less than or equal to 254"},
	"ICMP over IPv6":                     {"GlobalNetworkPolicy", "", `{ingress: [{action: Allow, protocol: ICMP, ipVersion: 6}]}`, "ICMPv6 of IP version 6"},
	"ICMPv6 over IPv4":                   {"GlobalNetworkPolicy", "", `{ingress: [{action: Allow, protocol: ICMPv6, ipVersion: 4}]}`, "ICMPv6 of IP version 6"},
	"HTTP over UDP":                      {"GlobalNetworkPolicy", "", `{ingress: [{action: Allow, protocol: UDP, http: {methods: [GET]}}]}`, "http needs protocol TCP"},
	"services with ports":                {"NetworkPolicy", "", `{egress: [{action: Allow, protocol: TCP, destination: {services: {name: db}, ports: [80]}}]}`, "services bring their ports"},
	"services with nets":                 {"NetworkPolicy", "", `{egress: [{action: Allow, destination: {services: {name: db}, notNets: [10.0.0.0/8]}}]}`, "services bring their addresses"},
	"services with a selector":           {"NetworkPolicy", "", `{egress: [{action: Allow, destination: {services: {name: db}, selector: all()}}]}`, "services bring their addresses"},
	"services as ingress destination":    {"NetworkPolicy", "", `{ingress: [{action: Allow, destination: {services: {name: db}}}]}`, "only in source"},
	"services as egress source":          {"GlobalNetworkPolicy", "", `{egress: [{action: Allow, source: {services: {name: db, namespace: a}}}]}`, "only in destination"},
	"egress services without namespace":  {"GlobalNetworkPolicy", "", `{egress: [{action: Allow, destination: {services: {name: db}}}]}`, "need a namespace"},
	"ingress services without namespace": {"StagedGlobalNetworkPolicy", "", `{ingress: [{action: Allow, source: {services: {name: db, namespace: ""}}}]}`, "need a namespace"},
	"doNotTrack with preDNAT":            {"GlobalNetworkPolicy", "", `{doNotTrack: true, preDNAT: true, applyOnForward: true}`, "cannot both be true"},
	"doNotTrack without applyOnForward":  {"GlobalNetworkPolicy", "", `{doNotTrack: true}`, "need applyOnForward"},
	"preDNAT without applyOnForward":     {"StagedGlobalNetworkPolicy", "", `{preDNAT: true, applyOnForward: false}`, "need applyOnForward"},
	"preDNAT with egress":                {"GlobalNetworkPolicy", "", `{preDNAT: true, applyOnForward: true, egress: [{action: Allow}]}`, "no egress rules"},
	"preDNAT of type Egress":             {"GlobalNetworkPolicy", "", `{preDNAT: true, applyOnForward: true, types: [Ingress, Egress]}`, "no egress rules"},
	"unknown staged action":              {"StagedNetworkPolicy", "", `{stagedAction: Apply}`, `Unsupported value: "Apply"`},
	"unknown hint":                       {"NetworkPolicy", "", `{performanceHints: [Fast]}`, `Unsupported value: "Fast"`},
	"IP block without CIDR":              {"StagedKubernetesNetworkPolicy", "", `{ingress: [{from: [{ipBlock: {except: []}}]}]}`, "cidr: Required value"},
	"default tier that passes":           {"Tier", "default", `{order: 1000000, defaultAction: Pass}`, "the default tier has defaultAction Deny"},
	"default tier with another order":    {"Tier", "default", `{order: 1000}`, "the default tier has order 1000000"},
	"default tier without order":         {"Tier", "default", `{}`, "the default tier has order 1000000"},
	"admin tier that denies":             {"Tier", "kube-admin", `{order: 1000}`, "the tier kube-admin has defaultAction Pass"},
	"admin tier with another order":      {"Tier", "kube-admin", `{order: 1, defaultAction: Pass}`, "the tier kube-admin has order 1000"},
	"baseline tier that denies":          {"Tier", "kube-baseline", `{order: 10000000}`, "the tier kube-baseline has defaultAction Pass"},
	"baseline tier with another order":   {"Tier", "kube-baseline", `{order: 1, defaultAction: Pass}`, "the tier kube-baseline has order 10000000"},
	"tier that allows":                   {"Tier", "", `{defaultAction: Allow}`, "defaultAction must be Deny or Pass"},
	"host endpoint without interface":    {"HostEndpoint", "", `{node: a, expectedIPs: []}`, "needs interfaceName or expectedIPs"},
	"host endpoint without node":         {"HostEndpoint", "", `{interfaceName: eth0}`, "needs the name of its node"},
	"host endpoint with a long name":     {"HostEndpoint", "", `{node: a, interfaceName: sixteen-letters-}`, "may not be more than 15"},
	"endpoint port without a protocol":   {"HostEndpoint", "", `{node: a, interfaceName: "*", ports: [{name: http, port: 80}]}`, "protocol: Required value"},
	"endpoint port of 0":                 {"HostEndpoint", "", `{node: a, interfaceName: "*", ports: [{name: http, port: 0, protocol: TCP}]}`, "greater than or equal to 1"},
	"set with a net twice":               {"GlobalNetworkSet", "", `{nets: [10.0.0.0/8, 10.0.0.0/8]}`, "Duplicate value"},
	"nets that are no list":              {"NetworkSet", "", `{nets: 10.0.0.0/8}`, "must be of type array"},
}

var refusedConfiguration = map[string]refusal{
	"communities without prefixes":      {"BGPConfiguration", "", `{communities: [{name: a, value: "1:1"}]}`, "communities need prefixAdvertisements"},
	"community without colon":           {"BGPConfiguration", "", `{communities: [{name: a, value: "1"}], prefixAdvertisements: [{cidr: 10.0.0.0/8}]}`, "should match"},
	"mesh password without mesh":        {"BGPConfiguration", "", `{nodeToNodeMeshEnabled: false, nodeMeshPassword: {secretKeyRef: {name: a, key: b}}}`, "nodeMeshPassword needs the mesh"},
	"mesh restart time without mesh":    {"BGPConfiguration", "", `{nodeToNodeMeshEnabled: false, nodeMeshMaxRestartTime: 10s}`, "nodeMeshMaxRestartTime needs the mesh"},
	"password without key":              {"BGPConfiguration", "", `{nodeMeshPassword: {secretKeyRef: {name: a}}}`, "key: Required value"},
	"BGP port of 65536":                 {"BGPConfiguration", "", `{listenPort: 65536}`, "less than or equal to 65535"},
	"AS number of 33 bits":              {"BGPConfiguration", "", `{asNumber: 4294967296}`, "less than or equal to"},
	"range that is no CIDR":             {"BGPConfiguration", "", `{serviceClusterIPs: [{cidr: ten}]}`, "must be of type cidr"},
	"unknown log level":                 {"BGPConfiguration", "", `{logSeverityScreen: Loud}`, "should match"},
	"priority of 0":                     {"BGPConfiguration", "", `{ipv4NormalRoutePriority: 0}`, "greater than or equal to 1"},
	"peer with node and nodeSelector":   {"BGPPeer", "", `{node: a, nodeSelector: all(), peerIP: 192.0.2.1}`, "node and nodeSelector exclude"},
	"peer by address and selector":      {"BGPPeer", "", `{peerIP: 192.0.2.1, peerSelector: all()}`, "peerIP and peerSelector exclude"},
	"peer by selector with a number":    {"BGPPeer", "", `{peerSelector: all(), asNumber: 1}`, "remove asNumber"},
	"workload peer with an address":     {"BGPPeer", "", `{localWorkloadSelector: all(), peerIP: 192.0.2.1, asNumber: 1}`, "excludes peerIP and peerSelector"},
	"workload peer without a number":    {"BGPPeer", "", `{localWorkloadSelector: all()}`, "localWorkloadSelector needs asNumber"},
	"both kinds of next hop":            {"BGPPeer", "", `{peerIP: 192.0.2.1, keepOriginalNextHop: true, nextHopMode: Keep}`, "use nextHopMode"},
	"gateway without peer":              {"BGPPeer", "", `{peerSelector: all(), reachableBy: 192.0.2.1}`, "reachableBy needs peerIP"},
	"gateway of the other version":      {"BGPPeer", "", `{peerIP: "192.0.2.1:179", reachableBy: "2001:db8::1"}`, "of one IP version"},
	"IPv4 gateway of an IPv6 peer":      {"BGPPeer", "", `{peerIP: "2001:db8::1", reachableBy: 192.0.2.1}`, "of one IP version"},
	"unknown next hop mode":             {"BGPPeer", "", `{peerIP: 192.0.2.1, nextHopMode: Next}`, "Unsupported value"},
	"filter with a CIDR alone":          {"BGPFilter", "", `{exportV4: [{action: Accept, cidr: 10.0.0.0/8}]}`, "both cidr and matchOperator"},
	"filter with an operator alone":     {"BGPFilter", "", `{importV6: [{action: Accept, matchOperator: In}]}`, "both cidr and matchOperator"},
	"prefix length without a CIDR":      {"BGPFilter", "", `{importV4: [{action: Accept, prefixLength: {min: 1}}]}`, "prefixLength needs cidr"},
	"prefix length of 33":               {"BGPFilter", "", `{importV4: [{action: Accept, matchOperator: In, cidr: 10.0.0.0/8, prefixLength: {max: 33}}]}`, "less than or equal to 32"},
	"operations of a rejected route":    {"BGPFilter", "", `{exportV6: [{action: Reject, operations: [{setPriority: {value: 1}}]}]}`, "operations need action Accept"},
	"two operations in one":             {"BGPFilter", "", `{exportV6: [{action: Accept, operations: [{setPriority: {value: 1}, addCommunity: {value: "1:1"}}]}]}`, "at most 1"},
	"two communities":                   {"BGPFilter", "", `{exportV4: [{action: Accept, communities: {values: ["1:1", "2:2"]}}]}`, "must have at most 1 item"},
	"community of 17 bits":              {"BGPFilter", "", `{exportV4: [{action: Accept, communities: {values: ["65536:1"]}}]}`, "should match"},
	"large community of 33 bits":        {"BGPFilter", "", `{exportV4: [{action: Accept, communities: {values: ["1:1:4294967296"]}}]}`, "should match"},
	"filter without action":             {"BGPFilter", "", `{exportV4: [{source: RemotePeers}]}`, "action: Required value"},
	"selector of the default object":    {"FelixConfiguration", "default", `{nodeSelector: all()}`, "other than default"},
	"selector of one node's object":     {"FelixConfiguration", "node.a", `{nodeSelector: all()}`, "other than default"},
	"both kinds of route tables":        {"FelixConfiguration", "", `{routeTableRange: {min: 1, max: 2}, routeTableRanges: []}`, "use routeTableRanges"},
	"route tables with min above max":   {"FelixConfiguration", "", `{routeTableRanges: [{min: 2, max: 1}]}`, "1 <= min <= max"},
	"route table of 0":                  {"FelixConfiguration", "", `{routeTableRange: {min: 0, max: 1}}`, "1 <= min <= max"},
	"interval without unit":             {"FelixConfiguration", "", `{routeRefreshInterval: "90"}`, "should match"},
	"failsafe port without number":      {"FelixConfiguration", "", `{failsafeInboundHostPorts: [{protocol: tcp}]}`, "port: Required value"},
	"mark of 33 bits":                   {"FelixConfiguration", "", `{nftablesMarkMask: 4294967296}`, "less than or equal to"},
	"eight ranges of node ports":        {"FelixConfiguration", "", `{kubeNodePortRanges: [1, 2, 3, 4, 5, 6, 7, 8]}`, "must have at most 7 items"},
	"unknown endpoint action":           {"FelixConfiguration", "", `{defaultEndpointToHostAction: Reject}`, "should match"},
	"number instead of a boolean":       {"FelixConfiguration", "", `{vxlanEnabled: 1}`, "must be of type boolean"},
	"configuration without controllers": {"KubeControllersConfiguration", "", `{logSeverityScreen: Info}`, "controllers: Required value"},
	"unknown value of healthChecks":     {"KubeControllersConfiguration", "", `{healthChecks: "on", controllers: {}}`, "Unsupported value"},
	"unknown class of a report":         {"CalicoNodeStatus", "", `{node: a, classes: [Weather]}`, "Unsupported value"},
	"reservation that is no address":    {"IPReservation", "", `{reservedCIDRs: [ten]}`, "CIDR or an address"},
	"pool not masked":                   {"IPPool", "", `{cidr: 10.0.0.1/16}`, "no bits set"},
	"pool with two tunnels":             {"IPPool", "", `{cidr: 10.0.0.0/16, ipipMode: Always, vxlanMode: Always}`, "cannot both be on"},
	"handle without blocks":             {"IPAMHandle", "", `{handleID: a}`, "block: Required value"},
}

func TestBothGroupsRefuse(t *testing.T) {
	for _, group := range groups {
		for _, table := range []map[string]refusal{refusedPolicies, refusedConfiguration} {
			for name, r := range table {
				t.Run(group+" "+name, func(t *testing.T) { refuse(t, group, r) })
			}
		}
	}
}

func TestV3Refuses(t *testing.T) {
	for name, r := range map[string]refusal{
		"affinity deleted by a string":        {"BlockAffinity", "", `{cidr: 10.0.0.0/26, node: a, state: confirmed, deleted: "false"}`, "must be of type boolean"},
		"affinity in an unknown state":        {"BlockAffinity", "", `{cidr: 10.0.0.0/26, node: a, state: claimed}`, "Unsupported value"},
		"block with an unknown kind of owner": {"IPAMBlock", "", `{cidr: 10.0.0.0/26, affinity: "node:a", allocations: [], unallocated: [], attributes: [], strictAffinity: false}`, "affinity must be"},
		"too many blocks per host":            {"IPAMConfiguration", "", `{strictAffinity: true, maxBlocksPerHost: 1000001}`, "less than or equal to 1000000"},
		"neither borrowing nor claiming":      {"IPAMConfiguration", "", `{autoAllocateBlocks: false}`, "set strictAffinity"},
		"block limit with borrowing":          {"IPAMConfiguration", "", `{maxBlocksPerHost: 1}`, "set strictAffinity"},
	} {
		t.Run(name, func(t *testing.T) { refuse(t, "v3", r) })
	}
}

// refuse creates an object that is not valid.
func refuse(t *testing.T, group string, r refusal) {
	t.Helper()
	_, err := create(t, group, r)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), r.want) {
		t.Errorf("create: %v, want Invalid with %q", err, r.want)
	}
}

// create sends an object to the server, which checks it but does not store it.
func create(t *testing.T, group string, r refusal) (*unstructured.Unstructured, error) {
	t.Helper()
	var spec map[string]any
	if err := yaml.Unmarshal([]byte(r.spec), &spec); err != nil {
		t.Fatal(err)
	}
	name := r.name
	if name == "" {
		name = "refused"
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetGroupVersionKind(versions[group].WithKind(r.kind))
	object.SetName(name)
	options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict}
	return client(t, group, r.kind).Create(t.Context(), object, options)
}

// TestMisspelledFieldsAreRefused guards against a rule that matches more than its author wrote.
func TestMisspelledFieldsAreRefused(t *testing.T) {
	for _, group := range groups {
		for kind, r := range map[string]refusal{
			"GlobalNetworkPolicy": {"", "", `{ingress: [{action: Allow, source: {select: role == 'a'}}]}`, `unknown field "spec.ingress[0].source.select"`},
			"Tier":                {"", "", `{oder: 1}`, `unknown field "spec.oder"`},
			"BGPPeer":             {"", "", `{peerIp: 192.0.2.1}`, `unknown field "spec.peerIp"`},
			"FelixConfiguration":  {"", "", `{wireguardenabled: true}`, `unknown field "spec.wireguardenabled"`},
		} {
			r.kind = kind
			if _, err := create(t, group, r); err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("%s: create %s: %v, want %q", group, kind, err, r.want)
			}
		}
	}
}

func TestDefaults(t *testing.T) {
	for _, group := range groups {
		for kind, want := range map[string]string{
			"Tier":                "defaultAction: Deny",
			"GlobalNetworkPolicy": "tier: default",
			"StagedNetworkPolicy": "{tier: default, stagedAction: Set}",
			"BGPConfiguration":    "{logSeverityScreen: Info, serviceLoadBalancerAggregation: Enabled}",
			"FelixConfiguration":  "{nftablesMode: Auto, nftablesFlowTableOffload: Disabled}",
			"IPAMConfiguration":   "{strictAffinity: false, autoAllocateBlocks: true, maxBlocksPerHost: 0}",
		} {
			if group == "v1" && kind == "IPAMConfiguration" {
				continue
			}
			object, err := create(t, group, refusal{kind: kind, spec: "{}"})
			if err != nil {
				t.Fatalf("%s: create %s: %v", group, kind, err)
			}
			var fields map[string]any
			if err := yaml.Unmarshal([]byte(want), &fields); err != nil {
				t.Fatal(err)
			}
			got, _ := object.Object["spec"].(map[string]any)
			if len(got) != len(fields) {
				t.Errorf("%s: an empty %s becomes %v, want %s", group, kind, got, want)
			}
			compare(t, group+" "+kind, withIntegers(fields), got)
		}
	}
}

// withIntegers turns the numbers of a YAML text into integers, as the client reads them.
func withIntegers(fields map[string]any) map[string]any {
	for name, value := range fields {
		if number, is := value.(float64); is {
			fields[name] = int64(number)
		}
	}
	return fields
}
