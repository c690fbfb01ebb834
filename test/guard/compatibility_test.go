// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/netconf"
)

const docs = "../../docs"

// link is a link to a test in docs/compatibility.md: "[TestName](../path/of/file_test.go)".
var link = regexp.MustCompile(`\[(Test\w+)\]\(([^)]+)\)`)

func page(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(docs, "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestCompatibilityPageLinksExistingTests(t *testing.T) {
	links := link.FindAllStringSubmatch(page(t), -1)
	if len(links) < 50 {
		t.Fatalf("only %d links found in docs/compatibility.md", len(links))
	}
	for _, l := range links {
		source, err := os.ReadFile(filepath.Join(docs, l[2]))
		if err != nil {
			t.Error(err)
		} else if !strings.Contains(string(source), "\nfunc "+l[1]+"(t *testing.T) {") {
			t.Errorf("%s has no %s", l[2], l[1])
		}
	}
}

func TestCompatibilityPageNamesTestOfEveryVerdict(t *testing.T) {
	verdicts := 0
	for line := range strings.Lines(page(t)) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !slices.Contains([]string{"same", "better", "not supported"}, strings.TrimSpace(cells[2])) {
			continue
		}
		verdicts++
		if !link.MatchString(line) {
			t.Errorf("no test: %s", line)
		}
	}
	if verdicts < 60 {
		t.Errorf("only %d verdicts found in docs/compatibility.md", verdicts)
	}
}

func TestCompatibilityPageListsEveryField(t *testing.T) {
	_, fields, _ := strings.Cut(page(t), "\n## Configuration\n")
	fields, _, _ = strings.Cut(fields, "\n## ")
	for f := range reflect.TypeFor[netconf.NetConf]().Fields() {
		if name := f.Tag.Get("json"); name != "-" && !strings.Contains(fields, "`"+name) {
			t.Errorf("docs/compatibility.md lacks the field %s", name)
		}
	}
}
