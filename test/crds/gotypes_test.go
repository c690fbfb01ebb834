// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"

	v1 "calico-cni/pkg/apis/crd/v1"
	v3 "calico-cni/pkg/apis/projectcalico/v3"
)

// TestGoTypesKeepEveryField decodes each accepted object into its Go type, and encodes it again.
func TestGoTypesKeepEveryField(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1.AddToScheme, v3.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range groups {
		for _, object := range accepted(t, group) {
			typed, err := scheme.New(object.GroupVersionKind())
			if err != nil {
				t.Fatal(err)
			}
			data, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(data, typed); err != nil {
				t.Errorf("%s: decode %s %s: %v", group, object.GetKind(), object.GetName(), err)
				continue
			}
			if data, err = json.Marshal(typed.DeepCopyObject()); err != nil {
				t.Fatal(err)
			}
			var read map[string]any
			if err := utiljson.Unmarshal(data, &read); err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"spec", "status"} {
				written, _ := withoutZeros(object.Object[part]).(map[string]any)
				compare(t, group+" "+object.GetKind()+" "+object.GetName()+" "+part, written, read[part])
			}
		}
	}
}

// withoutZeros removes the fields of a value that mean the same as absent ones: a Go type does not distinguish them.
func withoutZeros(value any) any {
	switch value := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, field := range value {
			field = withoutZeros(field)
			if field != nil && !reflect.ValueOf(field).IsZero() && !isEmpty(field) {
				kept[name] = field
			}
		}
		return kept
	case []any:
		items := make([]any, len(value))
		for i, item := range value {
			items[i] = withoutZeros(item)
		}
		return items
	}
	return value
}

// isEmpty reports whether a value is a list or a map without content.
func isEmpty(value any) bool {
	v := reflect.ValueOf(value)
	return (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}
