// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	v1 "calico-cni/pkg/apis/crd/v1"
	v3 "calico-cni/pkg/apis/projectcalico/v3"
	"calico-cni/test/apiserver"
)

var versions = map[string]schema.GroupVersion{"v1": v1.GroupVersion, "v3": v3.GroupVersion}

// client returns a client for a kind of a group. Namespaced kinds are in namespace default.
func client(t *testing.T, group, kind string) dynamic.ResourceInterface {
	t.Helper()
	heads, _ := table(t, group)
	fields := strings.Fields(heads[kind])
	if len(fields) < 2 {
		t.Fatalf("no kind %s in %s", kind, group)
	}
	s := apiserver.ForTest(t)
	serve(t, s)
	all := s.Dynamic().Resource(versions[group].WithResource(fields[0]))
	if fields[1] == "Namespaced" {
		return all.Namespace(metav1.NamespaceDefault)
	}
	return all
}

// accepted returns the objects of testdata/accepted that are valid in a group. An object with an apiVersion belongs to that
// group only, and one with kinds stands for one object of each.
func accepted(t *testing.T, group string) (objects []*unstructured.Unstructured) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "accepted", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4<<10); ; {
			var text json.RawMessage
			err := decoder.Decode(&text)
			if errors.Is(err, io.EOF) {
				break
			}
			document := new(unstructured.Unstructured)
			if err == nil {
				err = utiljson.Unmarshal(text, &document.Object) // keeps integers
			}
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			objects = append(objects, instances(document, group)...)
		}
	}
	return objects
}

// instances returns the objects of a group that a document stands for.
func instances(document *unstructured.Unstructured, group string) (objects []*unstructured.Unstructured) {
	version := versions[group].String()
	if own := document.GetAPIVersion(); own != "" && own != version {
		return nil
	}
	kinds, _, _ := unstructured.NestedStringSlice(document.Object, "kinds")
	delete(document.Object, "kinds")
	if len(kinds) == 0 {
		kinds = []string{document.GetKind()}
	}
	for _, kind := range kinds {
		object := document.DeepCopy()
		object.SetAPIVersion(version)
		object.SetKind(kind)
		objects = append(objects, object)
	}
	return objects
}

func TestSchemasAcceptAndKeepWhatCalicoWrites(t *testing.T) {
	for _, group := range groups {
		for _, object := range accepted(t, group) {
			t.Run(group+" "+object.GetKind()+" "+object.GetName(), func(t *testing.T) {
				objects := client(t, group, object.GetKind())
				// A field that the schema does not have is an error.
				strict := metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict}
				got, err := objects.Create(t.Context(), object.DeepCopy(), strict)
				if err != nil {
					t.Fatal(err)
				}
				if status := object.Object["status"]; status != nil {
					got.Object["status"] = status
					update := metav1.UpdateOptions{FieldValidation: metav1.FieldValidationStrict}
					if got, err = objects.UpdateStatus(t.Context(), got, update); err != nil {
						t.Fatal(err)
					}
				}
				for _, part := range []string{"spec", "status"} {
					compare(t, part, object.Object[part], got.Object[part])
				}
				got.SetFinalizers(nil)
				if _, err = objects.Update(t.Context(), got, metav1.UpdateOptions{}); err != nil {
					t.Errorf("write back what was read: %v", err)
				}
				if err := objects.Delete(t.Context(), object.GetName(), metav1.DeleteOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// compare fails if a value that was written is not what was read. Defaults may have been added, and null may be absent.
func compare(t *testing.T, path string, written, read any) {
	t.Helper()
	switch written := written.(type) {
	case nil:
		if read != nil && path != "status" {
			t.Errorf("%s: read %v, want null", path, read)
		}
	case map[string]any:
		fields, _ := read.(map[string]any)
		for name, value := range written {
			if _, found := fields[name]; !found && value != nil {
				t.Errorf("%s.%s is gone", path, name)
			}
			compare(t, path+"."+name, value, fields[name])
		}
	case []any:
		items, _ := read.([]any)
		if len(items) != len(written) {
			t.Errorf("%s: read %d items, want %d", path, len(items), len(written))
			return
		}
		for i, item := range written {
			compare(t, path, item, items[i])
		}
	default:
		if read != written {
			t.Errorf("%s: read %v, want %v", path, read, written)
		}
	}
}

// paths adds the paths of all fields of a value.
func paths(path string, value any, all map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		all[path] = true
		for name, field := range value {
			paths(path+"."+name, field, all)
		}
	case []any:
		all[path] = true
		for _, item := range value {
			paths(path, item, all)
		}
	default:
		all[path] = true
	}
}

// neverAccepted has the fields that no valid object has: services that a rule names on its own side.
var neverAccepted = regexp.MustCompile(`\.(ingress\.destination|egress\.source)\.services`)

// TestCorpusHasEveryField keeps the corpus complete: each field of the tables is in an object that is accepted.
func TestCorpusHasEveryField(t *testing.T) {
	for _, group := range groups {
		covered := map[string]bool{}
		for _, object := range accepted(t, group) {
			for _, part := range []string{"spec", "status"} {
				paths(object.GetKind()+"."+part, object.Object[part], covered)
			}
		}
		fields, _ := table(t, group)
		for _, path := range slices.Sorted(maps.Keys(fields)) {
			if strings.Contains(path, ".") && !covered[path] && !neverAccepted.MatchString(path) {
				t.Errorf("%s: no accepted object has %s", group, path)
			}
		}
	}
}
