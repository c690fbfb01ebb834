// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParseArgs(t *testing.T) {
	for text, want := range map[string]Args{
		"": {},
		"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=d-e": {
			Namespace: "shop", Pod: "web-0", InfraContainerID: "abc", UID: "d-e",
		},
		"K8S_POD_NAME=web-0;K8S_POD_NAMESPACE=shop":      {Namespace: "shop", Pod: "web-0"},
		"IgnoreUnknown=1;IgnoreUnknown=true;IP=10.0.0.5": {IP: netip.MustParseAddr("10.0.0.5")},
		"IP=fd00::5":                  {IP: netip.MustParseAddr("fd00::5")},
		"IP=::ffff:10.0.0.5":          {IP: netip.MustParseAddr("10.0.0.5")},
		"IP=":                         {},
		"CNI_TEST_NAMESPACE=t":        {TestNamespace: "t"},
		"FUTURE=x;IgnoreUnknown=TRUE": {},
		"IgnoreUnknown=1;LABELS=a=b;K8S_POD_NAME=a":              {Pod: "a"},
		"K8S_POD_NAME=first;K8S_POD_NAME=last":                   {Pod: "last"},
		"IgnoreUnknown=0;K8S_POD_NAME=a;K8S_POD_NAMESPACE=b":     {Pod: "a", Namespace: "b"},
		"IgnoreUnknown=false;IgnoreUnknown=1;k8s_pod_name=lower": {},
	} {
		got, err := ParseArgs(text)
		if err != nil {
			t.Errorf("ParseArgs(%q): %v", text, err)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("ParseArgs(%q):\n%s", text, diff)
		}
	}
}

func TestParseArgsErrorsNameVariableAndRemedy(t *testing.T) {
	for text, want := range map[string]string{
		"FUTURE=x":                 `CNI_ARGS: unknown key "FUTURE": remove it, or add IgnoreUnknown=1`,
		"IgnoreUnknown=1;FUTURE":   `CNI_ARGS: pair 2: want KEY=VALUE pairs separated by semicolons`,
		"K8S_POD_NAME=a;":          `CNI_ARGS: pair 2: want KEY=VALUE pairs separated by semicolons`,
		"=a":                       `CNI_ARGS: pair 1: want KEY=VALUE pairs separated by semicolons`,
		"IgnoreUnknown=0;FUTURE=x": `CNI_ARGS: unknown key "FUTURE": remove it, or add IgnoreUnknown=1`,
		"IgnoreUnknown=yes":        `CNI_ARGS: IgnoreUnknown="yes": want 1, true, 0 or false`,
		"IP=10.0.0.5/24": `CNI_ARGS: IP="10.0.0.5/24": want one IPv4 or IPv6 address without prefix ` +
			`length or zone`,
		"IP=fe80::1%eth0": `CNI_ARGS: IP="fe80::1%eth0": want one IPv4 or IPv6 address without ` +
			`prefix length or zone`,
		"IgnoreUnknown=1;IP=10.0.0.5,::": `CNI_ARGS: IP="10.0.0.5,::": want one IPv4 or IPv6 address without prefix ` +
			`length or zone`,
	} {
		_, err := ParseArgs(text)
		checkError(t, "ParseArgs("+text+")", err, want)
	}
}

func TestParseArgsIgnoresOrderAndUnknownKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[a-z][a-z0-9=-]{0,8}`)
		want := Args{Pod: name.Draw(t, "pod"), Namespace: name.Draw(t, "namespace"), UID: name.Draw(t, "uid")}
		pairs := []string{
			"IgnoreUnknown=1", "K8S_POD_NAME=" + want.Pod, "K8S_POD_NAMESPACE=" + want.Namespace, "K8S_POD_UID=" +
				want.UID,
		}
		for i, value := range rapid.SliceOfN(name, 0, 3).Draw(t, "ignored") {
			pairs = append(pairs, fmt.Sprintf("X%d=%s", i, value))
		}
		text := strings.Join(rapid.Permutation(pairs).Draw(t, "pairs"), ";")
		got, err := ParseArgs(text)
		if err != nil || got != want {
			t.Fatalf("ParseArgs(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	})
}

func FuzzIdentify(f *testing.F) {
	f.Add("c0ffee", "eth0", "IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b", "cali,eni")
	f.Add("", "..", "IP=::;=", "/")
	f.Add("0", "e", "", "")
	f.Fuzz(func(t *testing.T, containerID, ifName, text, env string) {
		args, err := ParseArgs(text)
		checkSentinel(t, err)
		id, err := Identify(containerID, ifName, args)
		checkSentinel(t, err)
		prefix, prefixErr := ParsePrefix(env)
		checkSentinel(t, prefixErr)
		if err != nil || prefixErr != nil {
			return
		}
		if name := id.HostIfName(prefix); !validIfName(name) {
			t.Errorf("host interface name %q of %+v", name, id)
		}
		if strings.ContainsAny(id.Namespace+id.Pod+id.ContainerID, "/%?# ") {
			t.Errorf("%+v would change a path", id)
		}
	})
}

func checkSentinel(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrInvalidArgs) {
		t.Errorf("%v does not wrap ErrInvalidArgs", err)
	}
}

func checkError(t *testing.T, what string, err error, want string) {
	t.Helper()
	checkSentinel(t, err)
	if err == nil {
		t.Errorf("%s: no error, want %s", what, want)
		return
	}
	if got := strings.TrimPrefix(err.Error(), ErrInvalidArgs.Error()+": "); got != want {
		t.Errorf("%s:\n got %s\nwant %s", what, got, want)
	}
}
