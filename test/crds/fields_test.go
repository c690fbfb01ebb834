// SPDX-License-Identifier: Apache-2.0

package crds_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// groups are the names of the API groups in this package: v1 is crd.projectcalico.org/v1, v3 is projectcalico.org/v3.
var groups = []string{"v1", "v3"}

// groupDir returns the directory of a group's CustomResourceDefinitions.
func groupDir(group string) string { return filepath.Join("..", "..", "deploy", "crds", group) }

// crd is the part of a CustomResourceDefinition that the tables describe.
type crd struct {
	Spec struct {
		Names struct {
			Kind, Plural string
			ShortNames   []string
		}
		Scope    string
		Versions []struct {
			Subresources             map[string]any
			AdditionalPrinterColumns []struct{ Name, JSONPath string }
			Schema                   struct{ OpenAPIV3Schema node }
		}
	}
}

// head is the line of a table that describes the kind.
func (c crd) head() string {
	names, subresources := c.Spec.Names, c.Spec.Versions[0].Subresources
	head := names.Plural + " " + c.Spec.Scope
	if len(names.ShortNames) > 0 {
		head += " short=" + strings.Join(names.ShortNames, ",")
	}
	if len(subresources) > 0 {
		head += " subresource=" + strings.Join(slices.Sorted(maps.Keys(subresources)), ",")
	}
	return head
}

// columns is the line of a table that lists the printer columns.
func (c crd) columns() string {
	var columns []string
	for _, column := range c.Spec.Versions[0].AdditionalPrinterColumns {
		columns = append(columns, column.Name+"="+column.JSONPath)
	}
	return strings.Join(columns, " ")
}

// node is a part of a schema.
type node struct {
	Type, Format         string
	Properties           map[string]node
	Items                *node
	AdditionalProperties *node
	Required             []string
	Nullable             bool
	Default              any
	IntOrString          bool   `json:"x-kubernetes-int-or-string"`
	ListType             string `json:"x-kubernetes-list-type"`
}

// typeName is the type of a field, as in the tables.
func (n node) typeName() string {
	name := n.Type
	switch {
	case n.IntOrString:
		name = "int-or-string"
	case n.Items != nil:
		name = "[]" + n.Items.typeName()
	case n.AdditionalProperties != nil:
		name = "{}" + n.AdditionalProperties.typeName()
	case n.Format != "":
		name += "/" + n.Format
	}
	if n.Nullable {
		name += "?"
	}
	return name
}

// describe adds the facts of all fields of a schema.
func (n node) describe(path string, facts map[string]string) {
	for name, field := range n.Properties {
		fact := field.typeName()
		if slices.Contains(n.Required, name) {
			fact += "!"
		}
		if field.ListType == "set" || field.ListType == "map" {
			fact += " " + field.ListType
		}
		if field.Default != nil {
			fact += " =" + fmt.Sprint(field.Default)
		}
		facts[path+"."+name] = fact
		field.describe(path+"."+name, facts)
		if field.Items != nil {
			field.Items.describe(path+"."+name, facts)
		}
	}
}

// generated returns the facts of a group's CustomResourceDefinitions by path, and the printer columns by kind.
func generated(t *testing.T, group string) (facts, columns map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(groupDir(group), "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	facts, columns = map[string]string{}, map[string]string{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c crd
		if err := yaml.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		kind, schema := c.Spec.Names.Kind, c.Spec.Versions[0].Schema.OpenAPIV3Schema
		facts[kind], columns[kind] = c.head(), c.columns()
		for _, common := range []string{"apiVersion", "kind", "metadata"} {
			delete(schema.Properties, common)
		}
		schema.describe(kind, facts)
	}
	return facts, columns
}

// table returns the facts of testdata/fields-GROUP.txt by path, and the printer columns by kind.
func table(t *testing.T, group string) (facts, columns map[string]string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "fields-"+group+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	facts, columns = map[string]string{}, map[string]string{}
	var path []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		text := strings.TrimLeft(line, " ")
		depth := len(line) - len(text)
		name, fact, _ := strings.Cut(text, " ")
		switch {
		case name == "#":
		case depth == 0 && name == "columns":
			columns[path[0]] = fact
		default:
			path = append(path[:depth], name)
			facts[strings.Join(path, ".")] = fact
		}
	}
	return facts, columns
}

// deliberate has the facts of ours that differ from the tables, in one group or both. See docs/decisions/0047-two-groups.md.
var deliberate = map[string]string{
	// AS numbers have 32 bits without a sign.
	"BGPConfiguration.spec.asNumber":                          "integer/int64",
	"BGPPeer.spec.asNumber":                                   "integer/int64",
	"BGPPeer.spec.localASNumber":                              "integer/int64",
	"BGPFilter.spec.exportV4.asPathPrefix":                    "[]integer/int64",
	"BGPFilter.spec.exportV6.asPathPrefix":                    "[]integer/int64",
	"BGPFilter.spec.importV4.asPathPrefix":                    "[]integer/int64",
	"BGPFilter.spec.importV6.asPathPrefix":                    "[]integer/int64",
	"BGPFilter.spec.exportV4.operations.prependASPath.prefix": "[]integer/int64!",
	"BGPFilter.spec.exportV6.operations.prependASPath.prefix": "[]integer/int64!",
	"BGPFilter.spec.importV4.operations.prependASPath.prefix": "[]integer/int64!",
	"BGPFilter.spec.importV6.operations.prependASPath.prefix": "[]integer/int64!",
	// Objects of old writers may have null.
	"ClusterInformation.spec.datastoreReady":        "boolean?",
	"IPAMBlock.spec.affinity":                       "string?",
	"IPAMBlock.spec.affinityClaimTime":              "string/date-time?",
	"IPAMBlock.spec.attributes.alternateOwnerAttrs": "{}string?",
	"IPAMBlock.spec.attributes.handle_id":           "string?",
	"IPAMBlock.spec.attributes.releasedAt":          "string/date-time?",
	"IPAMBlock.spec.attributes.secondary":           "{}string?",
	"IPAMBlock.spec.sequenceNumberForAllocation":    "{}integer/int64?",
	"IPAMBlock.spec.hostAffinity":                   "string?",
	// A rule checks the CIDR of a pool, and explains what is wrong.
	"IPPool.spec.cidr": "string!",
	// The plugins write the CIDR of a block.
	"IPAMBlock.spec.cidr": "string!",
	// An absent mode means the same.
	"IPPool.spec.ipipMode":  "string =Never",
	"IPPool.spec.vxlanMode": "string =Never",
	// Single addresses are reserved as well, and twice the same does no harm.
	"IPReservation.spec.reservedCIDRs": "[]string",
}

func TestSchemasHaveEveryFieldOfCalico(t *testing.T) {
	used := map[string]bool{}
	for _, group := range groups {
		want, _ := table(t, group)
		got, _ := generated(t, group)
		for _, path := range slices.Sorted(maps.Keys(want)) {
			if _, found := got[path]; !found {
				t.Errorf("%s: no field %s", group, path)
			}
		}
		for _, path := range slices.Sorted(maps.Keys(got)) {
			fact, expected := got[path], want[path]
			if fact != expected && fact == deliberate[path] {
				used[path], expected = true, fact
			}
			if fact != expected {
				t.Errorf("%s: %s is %q, want %q", group, path, fact, expected)
			}
		}
	}
	for path := range deliberate {
		if !used[path] {
			t.Errorf("%s is as in the tables: remove it from the deliberate differences", path)
		}
	}
}

// TestPrinterColumns allows additional columns after Calico's. In v1, where Calico has none, it allows any column.
func TestPrinterColumns(t *testing.T) {
	for _, group := range groups {
		_, want := table(t, group)
		_, got := generated(t, group)
		for kind := range want {
			if !strings.HasPrefix(got[kind], want[kind]) {
				t.Errorf("%s: columns of %s are %q, want first %q", group, kind, got[kind], want[kind])
			}
		}
	}
}
