// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestIdentify(t *testing.T) {
	pod := Args{Namespace: "shop", Pod: "web-0.x", UID: "u"}
	id, err := Identify("C0ffee_1.2-3", "eth0", pod)
	if want := (ID{"C0ffee_1.2-3", "eth0", "shop", "web-0.x", "u"}); err != nil || id != want || !id.Kubernetes() {
		t.Errorf("pod: %+v, %v, Kubernetes %v, want %+v", id, err, id.Kubernetes(), want)
	}
	id, err = Identify("c0ffee", "eth0", Args{})
	if want := (ID{ContainerID: "c0ffee", IfName: "eth0"}); err != nil || id != want || id.Kubernetes() {
		t.Errorf("no pod: %+v, %v, Kubernetes %v, want %+v", id, err, id.Kubernetes(), want)
	}
}

func TestIdentifyErrorsNameVariable(t *testing.T) {
	const container = "want a letter or digit, then letters, digits and any of _.-"
	const ifName = "want 1 to 15 bytes, not . or .., without slash, colon or space"
	long := strings.Repeat("a", 64)
	for _, c := range []struct {
		containerID, ifName string
		args                Args
		want                string
	}{
		{"", "eth0", Args{}, `CNI_CONTAINERID "": ` + container},
		{"-a", "eth0", Args{}, `CNI_CONTAINERID "-a": ` + container},
		{"a/b", "eth0", Args{}, `CNI_CONTAINERID "a/b": ` + container},
		{"a", "", Args{}, `CNI_IFNAME "": ` + ifName},
		{"a", ".", Args{}, `CNI_IFNAME ".": ` + ifName},
		{"a", "..", Args{}, `CNI_IFNAME "..": ` + ifName},
		{"a", "eth0/1", Args{}, `CNI_IFNAME "eth0/1": ` + ifName},
		{"a", "eth0:1", Args{}, `CNI_IFNAME "eth0:1": ` + ifName},
		{"a", "eth 0", Args{}, `CNI_IFNAME "eth 0": ` + ifName},
		{"a", "a234567890123456", Args{}, `CNI_IFNAME "a234567890123456": ` + ifName},
		{"a", "e", Args{Pod: "p"}, `CNI_ARGS: K8S_POD_NAMESPACE="" with K8S_POD_NAME="p": want both or neither`},
		{"a", "e", Args{Namespace: "n"}, `CNI_ARGS: K8S_POD_NAMESPACE="n" with K8S_POD_NAME="": want both or neither`},
		{
			"a", "e",
			Args{Namespace: "a.b", Pod: "p"},
			`CNI_ARGS: K8S_POD_NAMESPACE="a.b" is not the name of a namespace: want up to 63 lower-case letters, ` +
				`digits and -`,
		},
		{
			"a", "e",
			Args{Namespace: "A", Pod: "p"},
			`CNI_ARGS: K8S_POD_NAMESPACE="A" is not the name of a namespace: want up to 63 lower-case letters, ` +
				`digits and -`,
		},
		{
			"a", "e",
			Args{Namespace: "a-", Pod: "p"},
			`CNI_ARGS: K8S_POD_NAMESPACE="a-" is not the name of a namespace: want up to 63 lower-case letters, ` +
				`digits and -`,
		},
		{"a", "e", Args{Namespace: long, Pod: "p"}, `CNI_ARGS: K8S_POD_NAMESPACE="` + long +
			`" is not the name of a namespace: want up to 63 lower-case letters, digits and -`},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "../p"},
			`CNI_ARGS: K8S_POD_NAME="../p" is not the name of a pod: want lower-case letters, digits, hyphens ` +
				`and dots`,
		},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "a..b"},
			`CNI_ARGS: K8S_POD_NAME="a..b" is not the name of a pod: want lower-case letters, digits, hyphens ` +
				`and dots`,
		},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "Web_0"},
			`CNI_ARGS: K8S_POD_NAME="Web_0" is not the name of a pod: want lower-case letters, digits, hyphens ` +
				`and dots`,
		},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "web_0"},
			`CNI_ARGS: K8S_POD_NAME="web_0" is not the name of a pod: want lower-case letters, digits, hyphens ` +
				`and dots`,
		},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "-p"},
			`CNI_ARGS: K8S_POD_NAME="-p" is not the name of a pod: want lower-case letters, digits, hyphens and dots`,
		},
		{
			"a", "e",
			Args{Namespace: "n", Pod: "p-.a"},
			`CNI_ARGS: K8S_POD_NAME="p-.a" is not the name of a pod: want lower-case letters, digits, hyphens ` +
				`and dots`,
		},
		{"a", "e", Args{Namespace: "n", Pod: strings.Repeat(long, 4)}, `CNI_ARGS: K8S_POD_NAME="` +
			strings.Repeat(long, 4) + `" is not the name of a pod: want lower-case letters, digits, hyphens and dots`},
	} {
		_, err := Identify(c.containerID, c.ifName, c.args)
		checkError(t, fmt.Sprintf("Identify(%q, %q, %+v)", c.containerID, c.ifName, c.args), err, c.want)
	}
}

func TestAttachmentNames(t *testing.T) {
	// The digests were computed with sha1sum(1).
	for _, c := range []struct {
		id   ID
		want string
	}{
		{
			ID{ContainerID: "C0FFEE", Namespace: "default", Pod: "nginx"},
			`host interface calic440f455693, handle k8s-pod-network.C0FFEE, legacy "default.nginx", called ` +
				`default/nginx (C0FFEE)`,
		},
		{
			ID{ContainerID: "c0", Namespace: "kube-system", Pod: "coredns-5d78c9869d-abcde"},
			`host interface cali4d5f75c480c, handle k8s-pod-network.c0, legacy ` +
				`"kube-system.coredns-5d78c9869d-abcde", called kube-system/coredns-5d78c9869d-abcde (c0)`,
		},
		{
			ID{ContainerID: "0123456789abcdef"},
			`host interface cali0123456789a, handle k8s-pod-network.0123456789abcdef, legacy "0123456789abcdef", called ` +
				`0123456789abcdef`,
		},
		{
			ID{ContainerID: "short"},
			`host interface calishort, handle k8s-pod-network.short, legacy "short", called short`,
		},
	} {
		got := fmt.Sprintf("host interface %s, handle %s, legacy %q, called %s",
			c.id.HostIfName("cali"), c.id.HandleID("k8s-pod-network"), c.id.LegacyHandleID(), c.id)
		if got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.id, got, c.want)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for env, want := range map[string]string{
		"": "cali", "eni": "eni", "azv,cali": "azv", " azv , cali": "azv", ",eni": "cali", "abcd": "abcd",
		"c,toolong": "c",
	} {
		if got, err := ParsePrefix(env); err != nil || got != want {
			t.Errorf("ParsePrefix(%q) = %q, %v, want %q", env, got, err, want)
		}
	}
	for env, want := range map[string]string{
		"calic": `FELIX_INTERFACEPREFIX "calic": want at most 4 characters, because 11 more follow and an interface ` +
			`name holds 15`,
		"a/b":   `FELIX_INTERFACEPREFIX "a/b": want letters, digits and any of _.-`,
		"a b,c": `FELIX_INTERFACEPREFIX "a b": want letters, digits and any of _.-`,
		"ö":     `FELIX_INTERFACEPREFIX "ö": want letters, digits and any of _.-`,
	} {
		_, err := ParsePrefix(env)
		checkError(t, "ParsePrefix("+env+")", err, want)
	}
}

func TestHostIfNameDependsOnPodOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z]([a-z0-9-]{0,20}[a-z0-9])?`)
		args := Args{Namespace: name.Draw(t, "namespace"), Pod: name.Draw(t, "pod")}
		container := rapid.StringMatching(`[a-zA-Z0-9][a-zA-Z0-9_.-]{0,70}`)
		prefix, err := ParsePrefix(rapid.StringMatching(`[a-zA-Z0-9_.-]{0,4}`).Draw(t, "prefix"))
		if err != nil {
			t.Fatal(err)
		}
		a, errA := Identify(container.Draw(t, "container"), "eth0", args)
		b, errB := Identify(container.Draw(t, "other container"), "net1", args)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.HostIfName(prefix) != b.HostIfName(prefix) {
			t.Fatalf("%s and %s of one pod", a.HostIfName(prefix), b.HostIfName(prefix))
		}
		if n := len(a.HostIfName(prefix)); n != len(prefix)+suffixLength || n > maxIfName {
			t.Fatalf("%s is %d long", a.HostIfName(prefix), n)
		}
	})
}
