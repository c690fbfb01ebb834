package watch

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"calico-cni/internal/buildinfo"
)

// metrics counts what a watching process does, and shows it in Prometheus' text format, version 0.0.4.
type metrics struct {
	// ready says whether all is as it should be.
	ready func() bool

	mu       sync.Mutex
	expires  time.Time
	renewals map[string]int
	repairs  map[string]int
	waiting  int
}

func newMetrics(ready func() bool, parts []*Part) *metrics {
	m := &metrics{ready: ready, renewals: map[string]int{"success": 0, "failure": 0}, repairs: map[string]int{}}
	for _, p := range parts {
		if !p.Routine {
			m.repairs[p.Name] = 0
		}
	}
	return m
}

// setToken counts an attempt to renew the token, and stores the expiry of the current one.
func (m *metrics) setToken(expires time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expires = expires
	if err != nil {
		m.renewals["failure"]++
		return
	}
	m.renewals["success"]++
}

// countRepair counts an attempt to repair a part.
func (m *metrics) countRepair(part string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.repairs[part]++
}

// setPending stores the number of queued releases.
func (m *metrics) setPending(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = n
}

// ServeHTTP shows the metrics.
func (m *metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = io.WriteString(w, m.text())
}

func (m *metrics) text() string {
	ready := 0
	if m.ready() {
		ready = 1
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var expires int64
	if !m.expires.IsZero() {
		expires = m.expires.Unix()
	}
	var out strings.Builder
	family(&out, "build_info", "gauge", "Version of the installer.", "version", map[string]int{buildinfo.Version: 1})
	family(&out, "ready", "gauge", "Whether the last look found all as it should be.", "", map[string]int{"": ready})
	family(
		&out, "token_expiry_timestamp_seconds", "gauge",
		"When the plugins' token expires, by the API server's word; 0 before there is one.", "",
		map[string]int64{"": expires},
	)
	family(&out, "token_renewals_total", "counter", "Tokens that were asked for.", "result", m.renewals)
	family(&out, "repairs_total", "counter", "Repairs of what somebody changed.", "part", m.repairs)
	family(&out, "pending_releases", "gauge", "Releases of addresses that wait for the API server.", "",
		map[string]int{"": m.waiting})
	return out.String()
}

// escape is for the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// family writes one metric: its help, its type, and a sample for each value of its label, if it has one.
func family[N int | int64](out io.Writer, name, kind, help, label string, samples map[string]N) {
	name = "calico_cni_install_" + name
	_, _ = fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, value := range slices.Sorted(maps.Keys(samples)) {
		labels := ""
		if label != "" {
			labels = fmt.Sprintf(`{%s="%s"}`, label, escape.Replace(value))
		}
		_, _ = fmt.Fprintf(out, "%s%s %d\n", name, labels, samples[value])
	}
}
