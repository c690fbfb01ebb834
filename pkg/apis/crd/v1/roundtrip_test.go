// SPDX-License-Identifier: Apache-2.0

package v1_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"

	v1 "calico-cni/pkg/apis/crd/v1"
	"calico-cni/pkg/apis/crd/v1/spec"
)

// value parses JSON for comparison. Numbers keep their notation.
func value(t interface {
	Helper()
	Fatalf(format string, args ...any)
}, data []byte,
) map[string]any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var out map[string]any
	if err := decoder.Decode(&out); err != nil {
		t.Fatalf("parse %s: %v", data, err)
	}
	return out
}

func TestRowsRoundTrip(t *testing.T) {
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			want := s.spec
			if s.want != "" {
				want = s.want
			}
			o := kinds[s.kind].make()
			if err := json.Unmarshal([]byte(s.json(s.spec)), o); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value(t, []byte(s.json(want))), value(t, data)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestFieldsOfCalicoAreKnown(t *testing.T) {
	for _, s := range samples {
		o := kinds[s.kind].make()
		if err := json.Unmarshal([]byte(s.json(s.spec)), o); err != nil {
			t.Fatal(err)
		}
		unknown := reflect.ValueOf(o).Elem().FieldByName("Spec").FieldByName("Unknown").Interface().(spec.Unknown)
		if got := slices.Sorted(maps.Keys(unknown)); !slices.Equal(got, s.unknown) {
			t.Errorf("%s: unknown fields are %q, want %q", s.name, got, s.unknown)
		}
	}
}

func TestDecodeBlock(t *testing.T) {
	var got spec.IPAMBlock
	row := `{"cidr": "c", "affinity": "a", "affinityClaimTime": "2026-11-21T10:00:00Z", "allocations": [null, 3],
		"unallocated": [0],
		"attributes": [{"handle_id": "h", "secondary": {"s": "1"}, "alternateOwnerAttrs": {"o": "2"},
		"releasedAt": "2026-11-21T11:00:00Z"}],
		"sequenceNumber": 5, "sequenceNumberForAllocation": {"1": 4}, "deleted": true, "strictAffinity": true,
			"hostAffinity": "n"}`
	if err := json.Unmarshal([]byte(row), &got); err != nil {
		t.Fatal(err)
	}
	want := spec.IPAMBlock{
		CIDR: "c", Affinity: new("a"), AffinityClaimTime: at(10), Allocations: []*int{nil, new(3)},
		Unallocated: []int{0},
		Attributes: []spec.AllocationAttribute{{
			HandleID: new("h"), Secondary: map[string]string{"s": "1"},
			AlternateOwnerAttrs: map[string]string{"o": "2"}, ReleasedAt: at(11),
		}},
		SequenceNumber: 5, SequenceNumberForAllocation: map[string]int64{"1": 4}, Deleted: true, StrictAffinity: true,
		HostAffinity: new("n"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// at returns that hour of 21 November 2026.
func at(hour int) *spec.Time {
	return &spec.Time{Time: time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC)}
}

func TestClientGoSerializerAgrees(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	encoder := kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme, scheme, kjson.SerializerOptions{})
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			s.rest += `, "fromTheFuture": {"a": [1, null]}`
			row := []byte(s.json(s.spec))
			want := kinds[s.kind].make()
			if err := json.Unmarshal(row, want); err != nil {
				t.Fatal(err)
			}
			got, _, err := decoder.Decode(row, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(runtime.Object(want), got); diff != "" {
				t.Errorf("decode, -encoding/json +client-go:\n%s", diff)
			}
			var out bytes.Buffer
			if err := encoder.Encode(got, &out); err != nil {
				t.Fatal(err)
			}
			plain, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value(t, plain), value(t, out.Bytes())); diff != "" {
				t.Errorf("encode, -encoding/json +client-go:\n%s", diff)
			}
		})
	}
}

func TestSchemeHasEveryKindAndList(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for name := range kinds {
		for _, name := range []string{name, name + "List"} {
			if !scheme.Recognizes(v1.GroupVersion.WithKind(name)) {
				t.Errorf("%s is not registered", name)
			}
		}
	}
}

func TestRequiredFieldsAreAlwaysWritten(t *testing.T) {
	for name, kind := range kinds {
		data, err := json.Marshal(kind.make())
		if err != nil {
			t.Fatal(err)
		}
		contents, _ := value(t, data)["spec"].(map[string]any)
		for _, field := range kind.required {
			if contents[field] == nil {
				t.Errorf("%s: spec.%s of an empty value is absent or null: %s", name, field, data)
			}
		}
	}
}

// The schemas must require no field that Calico's schemas do not require, because Calico may omit it.
func TestSchemasRequireSameFieldsAsCalico(t *testing.T) {
	for name, kind := range kinds {
		if got := schema(t, name).Spec.Required; !slices.Equal(got, kind.required) {
			t.Errorf("%s: spec requires %q, want %q", name, got, kind.required)
		}
	}
}

func TestSchemasHaveEveryField(t *testing.T) {
	for name, kind := range kinds {
		var want []string
		contents, _ := reflect.TypeOf(kind.make()).Elem().FieldByName("Spec")
		for field := range contents.Type.Fields() {
			if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag != "-" {
				want = append(want, tag)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(schema(t, name).Spec.Properties))); diff != "" {
			t.Errorf("%s: -type +schema:\n%s", name, diff)
		}
		if !schema(t, name).Spec.Preserve {
			t.Errorf("%s: the schema drops unknown fields of the spec", name)
		}
	}
}

// objectSchema is the part of a schema that the tests read.
type objectSchema struct {
	Spec struct {
		Required   []string       `json:"required"`
		Properties map[string]any `json:"properties"`
		Preserve   bool           `json:"x-kubernetes-preserve-unknown-fields"`
	} `json:"spec"`
}

// schema reads the generated CustomResourceDefinition of a kind.
func schema(t *testing.T, kind string) objectSchema {
	t.Helper()
	files, err := filepath.Glob("../../../../deploy/crds/v1/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var crd struct {
			Spec struct {
				Names    struct{ Kind string }
				Versions []struct {
					Schema struct {
						OpenAPIV3Schema struct {
							Properties objectSchema `json:"properties"`
						} `json:"openAPIV3Schema"`
					} `json:"schema"`
				} `json:"versions"`
			} `json:"spec"`
		}
		if err := yaml.Unmarshal(data, &crd); err != nil {
			t.Fatal(err)
		}
		if crd.Spec.Names.Kind == kind {
			return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties
		}
	}
	t.Fatalf("no CustomResourceDefinition of %s", kind)
	return objectSchema{}
}
