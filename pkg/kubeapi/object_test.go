// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// contents is the spec of the test objects.
type contents struct {
	A int `json:"a"`
}

// whole is an object of another writer, with unusual fields and formatting.
const whole = `{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"n","uid":"u","resourceVersion":"7",` +
	`"labels":{"x":"y"},` +
	`"annotations":{"k":"{\"a\":\"<b>\"}"},"creationTimestamp":"2026-11-21T10:00:00.000Z",` +
	`"deletionTimestamp":"2026-11-21T11:00:00Z",` +
	`"finalizers":["f"],"generation":3,"managedFields":[{"fieldsV1":{"f:spec":{ ".": {} ` +
	`}}}],"ownerReferences":[{"uid":"1"}]},` +
	`"spec":{"a":1},"new":{"big": 12345678901234567890, "text": "\u00e9<&>"},"status":{"conditions":[]}}`

func TestObjectRoundTripIsExact(t *testing.T) {
	var o Object[contents]
	if err := json.Unmarshal([]byte(whole), &o); err != nil {
		t.Fatal(err)
	}
	created := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	if o.APIVersion != "g/v1" || o.Kind != "Thing" || o.Spec.A != 1 || o.Metadata.Name != "n" ||
		o.Metadata.UID != "u" ||
		o.Metadata.ResourceVersion != "7" || o.Metadata.Labels["x"] != "y" || !o.Metadata.Created.Equal(created) {
		t.Errorf("decoded as %+v", o)
	}
	got, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, string(got)); diff != "" {
		t.Errorf("-read +written:\n%s", diff)
	}
}

func TestChangedObjectKeepsOtherFields(t *testing.T) {
	var o Object[contents]
	if err := json.Unmarshal([]byte(whole), &o); err != nil {
		t.Fatal(err)
	}
	next := o
	next.Spec.A, next.Metadata.Labels = 2, map[string]string{"z": "<"}
	got, err := next.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var want, have map[string]any
	for data, into := range map[string]*map[string]any{whole: &want, string(got): &have} {
		if err := json.Unmarshal([]byte(data), into); err != nil {
			t.Fatal(err)
		}
	}
	want["spec"], want["metadata"].(map[string]any)["labels"] = map[string]any{"a": 2.0}, map[string]any{"z": "<"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if again, err := o.MarshalJSON(); err != nil || string(again) != whole {
		t.Errorf("the object changed with its copy (%v): %s", err, again)
	}
}

func TestNewObjectHasOnlyGivenFields(t *testing.T) {
	for _, c := range []struct {
		make func(*Object[contents])
		want string
	}{
		{func(*Object[contents]) {}, `{"apiVersion":"","kind":"","metadata":{"name":""},"spec":{"a":0}}`},
		{
			func(o *Object[contents]) { o.APIVersion, o.Kind, o.Metadata.Name, o.Spec.A = "g/v1", "Thing", "n", 3 },
			`{"apiVersion":"g/v1","kind":"Thing","metadata":{"name":"n"},"spec":{"a":3}}`,
		},
	} {
		var o Object[contents]
		c.make(&o)
		if got, err := json.Marshal(o); err != nil || string(got) != c.want {
			t.Errorf("%v: %s, want %s", err, got, c.want)
		}
	}
}

func TestUnmarshalResetsObject(t *testing.T) {
	var o Object[contents]
	for _, text := range []string{whole, `{"metadata":{"name":"m"}}`} {
		if err := o.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := json.Marshal(o); err != nil ||
		string(got) != `{"apiVersion":"","kind":"","metadata":{"name":"m"},"spec":{"a":0}}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestUnmarshalRejectsOtherJSON(t *testing.T) {
	for _, text := range []string{
		``, `[]`, `1`, `{"metadata":[]}`, `{"metadata":{"name":1}}`, `{"metadata":{"labels":{"a":1}}}`,
		`{"metadata":{"creationTimestamp":"x"}}`, `{"spec":1}`, `{"kind":{}}`, `{} {}`,
	} {
		if err := new(Object[contents]).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}

func TestUnknownFieldsOfObjectRoundTrip(t *testing.T) {
	values := rapid.SampledFrom([]string{`null`, `1`, `1.50`, `"<é"`, `[]`, `{"a":[null]}`, `{ "b" : 1 }`})
	known := []string{
		"apiVersion", "kind", "metadata", "spec", "name", "uid", "resourceVersion", "labels",
		"creationTimestamp",
	}
	names := rapid.String().Filter(func(s string) bool { return !slices.Contains(known, s) })
	rapid.Check(t, func(t *rapid.T) {
		raw := func(label string) map[string]json.RawMessage {
			out := map[string]json.RawMessage{}
			for name, text := range rapid.MapOfN(names, values, 0, 5).Draw(t, label) {
				out[name] = json.RawMessage(text)
			}
			return out
		}
		o := Object[contents]{Kind: "Thing", rest: raw("object"), Metadata: Metadata{Name: "n", rest: raw("metadata")}}
		data, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var again Object[contents]
		if err := again.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		for where, both := range map[string][2]map[string]json.RawMessage{
			"object":   {o.rest, again.rest},
			"metadata": {o.Metadata.rest, again.Metadata.rest},
		} {
			text := func(m map[string]json.RawMessage) (out []string) {
				for _, name := range slices.Sorted(maps.Keys(m)) {
					out = append(out, name+"="+string(m[name]))
				}
				return out
			}
			if diff := cmp.Diff(text(both[0]), text(both[1])); diff != "" {
				t.Errorf("%s, -written +read:\n%s", where, diff)
			}
		}
	})
}
