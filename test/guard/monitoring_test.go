// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// metricPrefix begins the name of every metric of install.
const metricPrefix = "calico_cni_install_"

// metrics returns the type of each metric by name, from the options of package prometheus in a directory.
func metrics(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, file := range sources(t, dir) {
		ast.Inspect(file, func(n ast.Node) bool {
			options, is := n.(*ast.CompositeLit)
			if !is {
				return true
			}
			selector, is := options.Type.(*ast.SelectorExpr)
			if !is {
				return true
			}
			kind := map[string]string{"GaugeOpts": "gauge", "CounterOpts": "counter", "HistogramOpts": "histogram"}[selector.Sel.Name]
			for _, field := range options.Elts {
				pair, is := field.(*ast.KeyValueExpr)
				if !is || kind == "" {
					continue
				}
				if name, is := pair.Key.(*ast.Ident); is && name.Name == "Name" {
					found[literal(pair.Value)] = kind
				}
			}
			return true
		})
	}
	if len(found) < 6 {
		t.Fatalf("only %d metrics found in %s", len(found), dir)
	}
	return found
}

// metricRow is a row of the tables of metrics: name and type.
var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (gauge|counter|histogram) \\|")

func TestMonitoringPageListsEveryMetric(t *testing.T) {
	page := read(t, filepath.Join(docs, "monitoring.md"))
	listed := map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(page, -1) {
		listed[row[1]] = row[2]
	}
	want := metrics(t, "pkg/install")
	maps.Copy(want, metrics(t, "pkg/agent"))
	if !maps.Equal(listed, want) {
		t.Errorf("docs/monitoring.md lists %v, the code has %v", listed, want)
	}
}

// rules is the part of a Prometheus rules file that this test reads.
type rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []struct {
			Alert       string            `json:"alert"`
			Expr        string            `json:"expr"`
			For         string            `json:"for"`
			Labels      map[string]string `json:"labels"`
			Annotations map[string]string `json:"annotations"`
		} `json:"rules"`
	} `json:"groups"`
}

// metricName is a metric of install in an expression.
var metricName = regexp.MustCompile(metricPrefix + `[a-z_]+`)

func TestAlertRulesUseExistingMetrics(t *testing.T) {
	var file rules
	text := read(t, filepath.Join("..", "..", "deploy", "prometheus-rules.yaml"))
	if err := yaml.UnmarshalStrict([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	page, known, alerts := read(t, filepath.Join(docs, "monitoring.md")), metrics(t, "pkg/install"), 0
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			alerts++
			used := metricName.FindAllString(rule.Expr, -1)
			if len(used) == 0 && !strings.Contains(rule.Expr, `up{job="calico-cni"}`) {
				t.Errorf("%s uses no metric of install: %s", rule.Alert, rule.Expr)
			}
			for _, name := range used {
				if known[name] == "" {
					t.Errorf("%s uses the unknown metric %s", rule.Alert, name)
				}
			}
			if !strings.Contains(page, "| `"+rule.Alert+"` |") {
				t.Errorf("docs/monitoring.md has no row for %s", rule.Alert)
			}
			for _, name := range []string{"summary", "description", "runbook"} {
				if rule.Annotations[name] == "" {
					t.Errorf("%s has no %s", rule.Alert, name)
				}
			}
			if _, err := os.Stat(filepath.Join("..", "..", rule.Annotations["runbook"])); err != nil {
				t.Errorf("%s: %v", rule.Alert, err)
			}
			if !slices.Contains([]string{"info", "warning", "critical"}, rule.Labels["severity"]) {
				t.Errorf("%s has the severity %q", rule.Alert, rule.Labels["severity"])
			}
		}
	}
	if rows := strings.Count(page, "\n| `CalicoCNI"); rows != alerts || alerts == 0 {
		t.Errorf("%d alerts, but %d rows in docs/monitoring.md", alerts, rows)
	}
}
