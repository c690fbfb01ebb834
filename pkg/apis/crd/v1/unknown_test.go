// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/apis/crd/v1/spec"
)

// anyJSON draws a JSON value in the form that encoding/json parses it to.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.String().AsAny(),
		rapid.Custom(func(t *rapid.T) json.Number {
			return json.Number(rapid.StringMatching(`-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,20})?`).Draw(t, "number"))
		}).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(anyJSON(depth-1), 0, 3).AsAny(),
		rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 3).AsAny(),
	)...)
}

// unknownFields draws fields whose names differ from those of a struct type in any case.
func unknownFields(known reflect.Type) *rapid.Generator[map[string]any] {
	var names []string
	for field := range known.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	names = append(names, "kind", "apiVersion")
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-zA-Z-]{1,12}`),
		rapid.SampledFrom([]string{"-", "inline", "Unknown", "items"}))
	return rapid.MapOfN(name.Filter(func(s string) bool {
		return !slices.ContainsFunc(names, func(known string) bool {
			return known != "-" && strings.EqualFold(known, s)
		})
	}), anyJSON(2), 0, 4)
}

// draw adds fields to an object.
func draw(t *rapid.T, label string, known reflect.Type, into map[string]any) {
	for name, value := range unknownFields(known).Draw(t, label) {
		into[name] = value
	}
}

func TestUnknownFieldsAndMetadataRoundTrip(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			if s.want != "" {
				s.spec = s.want // the rest of these rows is changed by the round trip
			}
			rapid.Check(t, func(t *rapid.T) {
				row := value(t, []byte(s.json(s.spec)))
				made := kinds[s.kind].make()
				goType := reflect.TypeOf(made).Elem()
				specType, _ := goType.FieldByName("Spec")
				contents := row["spec"].(map[string]any)
				draw(t, "object", goType, row)
				draw(t, "spec", specType.Type, contents)
				attributes, _ := contents["attributes"].([]any)
				for _, attribute := range attributes {
					draw(t, "attribute", reflect.TypeFor[spec.AllocationAttribute](), attribute.(map[string]any))
				}
				metadata := row["metadata"].(map[string]any)
				for key, text := range rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "annotations") {
					metadata["annotations"].(map[string]any)[key] = text
				}
				data, err := json.Marshal(row)
				if err != nil {
					t.Fatal(err)
				}

				if err := json.Unmarshal(data, made); err != nil {
					t.Fatal(err)
				}
				for _, o := range []any{made, made.DeepCopyObject()} {
					got, err := json.Marshal(o)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(value(t, data), value(t, got)); diff != "" {
						t.Fatalf("%T, -read +written:\n%s", o, diff)
					}
				}
			})
		})
	}
}

func TestDecodeSeparatesUnknownFields(t *testing.T) {
	row := `{"apiVersion": "a", "kind": "b", "metadata": {}, "new": 1, "spec": {"handleID": "a", "Deleted": true, ` +
		`"new": 2}}`
	var h v1.IPAMHandle
	if err := json.Unmarshal([]byte(row), &h); err != nil {
		t.Fatal(err)
	}
	want := v1.IPAMHandle{
		TypeMeta: metav1.TypeMeta{APIVersion: "a", Kind: "b"}, Unknown: spec.Unknown{"new": json.RawMessage("1")},
		Spec: spec.IPAMHandle{HandleID: "a", Deleted: true, Unknown: spec.Unknown{"new": json.RawMessage("2")}},
	}
	if diff := cmp.Diff(want, h); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestKnownFieldsTakePrecedence(t *testing.T) {
	h := v1.IPAMHandle{Spec: spec.IPAMHandle{HandleID: "a", Unknown: spec.Unknown{
		"handleID": json.RawMessage(`"b"`), "Block": json.RawMessage(`null`), "new": json.RawMessage(`1`),
	}}}
	got, err := json.Marshal(h.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"handleID":"a","block":{},"deleted":false,"new":1}`; string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestDecodeResetsUnknownFields(t *testing.T) {
	var s spec.IPReservation
	for _, row := range []string{`{"old": 1}`, `{"new": 2}`, `{}`} {
		if err := json.Unmarshal([]byte(row), &s); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.Unknown) > 0 {
		t.Errorf("unknown fields of another row: %v", s.Unknown)
	}
}

func TestDeepCopyOfUnknownFields(t *testing.T) {
	b := new(v1.IPAMBlock)
	row := `{"a": 1, "spec": {"b": 2, "attributes": [{"c": 3}]}}`
	if err := json.Unmarshal([]byte(row), b); err != nil {
		t.Fatal(err)
	}
	c := b.DeepCopy()
	for name, u := range map[string]spec.Unknown{
		"a": c.Unknown, "b": c.Spec.Unknown,
		"c": c.Spec.Attributes[0].Unknown,
	} {
		if len(u[name]) == 0 {
			t.Fatalf("the copy has no %q", name)
		}
		u[name][0], u["d"] = '9', json.RawMessage("4")
	}
	want := new(v1.IPAMBlock)
	if err := json.Unmarshal([]byte(row), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("the original changed with its copy:\n%s", diff)
	}
}

func TestDecodeRejectsWrongTypes(t *testing.T) {
	for _, row := range []string{
		`{"spec": 1}`, `{"spec": []}`, `{"spec": {"cidr": 1}}`, `{"spec": {"cidr": 1, "new": 2}}`,
		`{"spec": {"attributes": [1]}}`,
		`{"spec": {"allocations": ["0"]}}`, `{"spec": {"sequenceNumber": 1.5}}`, `{"metadata": 1}`, `[]`, ``,
	} {
		if err := json.Unmarshal([]byte(row), new(v1.IPAMBlock)); err == nil {
			t.Errorf("%s: no error", row)
		}
	}
}
