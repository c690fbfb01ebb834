// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const ours = `{"type": "calico", "mtu": 1}`

func TestChainKeepsOtherBytes(t *testing.T) {
	for _, tt := range []struct{ name, list, want string }{
		{
			"before the first, in its layout", "{\n \"x\": 1.50,\n \"plugins\": [\n  {\"type\": \"a\"},\n  {\"type\": \"b\", " +
				"\"plugins\": []}\n ], \"x\": null, \"name\": \"n\"\n}\n",
			"{\n \"x\": 1.50,\n \"plugins\": [\n  " + ours +
				",\n  {\"type\": \"a\"},\n  {\"type\": \"b\", \"plugins\": []}\n ], \"x\": null, \"name\": \"n\"\n}\n",
		},
		{
			"in its own place", `{"plugins":[{"type":"a"} , {"type":"calico","mtu":2}],"name":"n"}`,
			`{"plugins":[{"type":"a"} , ` + ours + `],"name":"n"}`,
		},
		{
			"present, in another layout", `{"plugins":[{"type":"a"},{"mtu":1,"type":"calico"}]}`,
			`{"plugins":[{"type":"a"},{"mtu":1,"type":"calico"}]}`,
		},
		{"in an empty list", `{"plugins": [ ]}`, `{"plugins": [` + ours + `]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Chain([]byte(tt.list), []byte(ours))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("Chain (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnchainRemovesOnlyPlugin(t *testing.T) {
	for _, tt := range []struct {
		list, want string
		left       int
	}{
		{`{"plugins": [` + ours + `, {"type": "a"}]}`, `{"plugins": [{"type": "a"}]}`, 1},
		{`{"plugins": [{"type": "a"}, ` + ours + ` ]}`, `{"plugins": [{"type": "a"} ]}`, 1},
		{`{"plugins": [` + ours + `]}`, `{"plugins": []}`, 0},
		{`{"plugins": [` + ours + `,{"type": "a"},` + ours + `]}`, `{"plugins": [{"type": "a"}]}`, 1},
		{`{"plugins": [{"type": "a"}]}`, `{"plugins": [{"type": "a"}]}`, 1},
	} {
		got, left, err := Unchain([]byte(tt.list), "calico")
		if err != nil || string(got) != tt.want || left != tt.left {
			t.Errorf("Unchain(%s) = %s, %d, %v; want %s, %d", tt.list, got, left, err, tt.want, tt.left)
		}
	}
}

// TestUnchainRevertsChain compares the bytes of random lists.
func TestUnchainRevertsChain(t *testing.T) {
	space := rapid.StringMatching(`[ \n\t]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		list := `{"name":` + space.Draw(t, "") + `"n", "plugins":` + space.Draw(t, "") + `[`
		for n := range rapid.IntRange(1, 4).Draw(t, "plugins") {
			if n > 0 {
				list += space.Draw(t, "") + ","
			}
			kind := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "type")
			list += space.Draw(t, "") + `{"x": "]}\"é", "type": "` + kind + `"}`
		}
		list += space.Draw(t, "") + `], "y": [1, {}]}` + space.Draw(t, "")
		chained, err := Chain([]byte(list), []byte(ours))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Load("a.conflist", chained); err != nil {
			t.Fatalf("%v: %s", err, chained)
		}
		if again, err := Chain(chained, []byte(ours)); err != nil || string(again) != string(chained) {
			t.Fatalf("chained twice: %s, %v", again, err)
		}
		if got, _, err := Unchain(chained, "calico"); err != nil || string(got) != list {
			t.Fatalf("list %q, chained %q, unchained %q, %v", list, chained, got, err)
		}
	})
}

func TestChainRejectsInvalidLists(t *testing.T) {
	for _, list := range []string{
		``, `[]`, `{"type": "a"}`, `{"plugins": {}}`, `{"plugins": [1]}`, `{"plugins": [{}]}`, `{"plugins": [`, `null`,
	} {
		if got, err := Chain([]byte(list), []byte(ours)); !errors.Is(err, ErrInvalid) || got != nil {
			t.Errorf("Chain(%s) = %s, %v; want ErrInvalid", list, got, err)
		}
	}
	if _, err := Chain([]byte(`{"plugins": []}`), []byte(`{}`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a plugin without type: %v; want ErrInvalid", err)
	}
}

func TestExtends(t *testing.T) {
	const want = `{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 1}, {"type": "portmap"}]}`
	for _, tt := range []struct {
		list string
		want bool
	}{
		{want, true},
		{
			`{"plugins": [{"mtu": 1, "type": "calico"}, {"type": "portmap"}, {"type": "istio-cni"}], "cniVersion": "1.0.0", ` +
				`"name": "n", "x": 1}`,
			true,
		},
		{
			`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 1}, {"type": "tuning"}, ` +
				`{"type": "portmap"}]}`,
			true,
		},
		{`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 2}, {"type": "portmap"}]}`, false},
		{`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 1}]}`, false},
		{`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "portmap"}, {"type": "calico", "mtu": 1}]}`, false},
		{
			`{"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 1}, {"type": "portmap"}, ` +
				`{"type": "calico"}]}`,
			false,
		},
		{`{"name": "m", "cniVersion": "1.0.0", "plugins": [{"type": "calico", "mtu": 1}, {"type": "portmap"}]}`, false},
		{`{"name": "n", "cniVersion": "0.3.1", "plugins": [{"type": "calico", "mtu": 1}, {"type": "portmap"}]}`, false},
		{`{"name": "n"`, false},
	} {
		if got := Extends([]byte(tt.list), []byte(want)); got != tt.want {
			t.Errorf("Extends(%s) = %v", tt.list, got)
		}
	}
	if Extends([]byte(`{"name": "n", "type": "calico", "x": 1}`), []byte(`{"name": "n", "type": "calico"}`)) {
		t.Error("a single plugin with another field extends it")
	}
}

// FuzzChain checks that Chain and Unchain return JSON or an error.
func FuzzChain(f *testing.F) {
	f.Add(`{"name": "n", "plugins": [{"type": "a"}]}`)
	f.Add(`{"plugins": [], "plugins": [{"type": "b"}]}`)
	f.Add("{\"plugins\":[\n{\"type\":\"calico\"} ]}")
	f.Fuzz(func(t *testing.T, list string) {
		got, err := Chain([]byte(list), []byte(ours))
		if err == nil && !json.Valid(got) {
			t.Errorf("Chain(%q) = %q", list, got)
		}
		if rest, _, err := Unchain([]byte(list), "calico"); err == nil && !json.Valid(rest) {
			t.Errorf("Unchain(%q) = %q", list, rest)
		}
	})
}
