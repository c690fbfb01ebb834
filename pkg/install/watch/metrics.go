// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"calico-cni/internal/buildinfo"
)

// metrics are the Prometheus metrics of a watcher. docs/monitoring.md lists them.
type metrics struct {
	registry *prometheus.Registry
	expires  prometheus.Gauge
	renewals *prometheus.CounterVec
	repairs  *prometheus.CounterVec
	pending  prometheus.Gauge
}

// newMetrics returns metrics with all their labels, so that each counter starts at 0. ready reports whether the host is
// in the desired state.
func newMetrics(ready func() bool, parts []*Part) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		expires: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calico_cni_install_token_expiry_timestamp_seconds",
			Help: "Expiry of the plugins' token; 0 before the first token.",
		}),
		renewals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calico_cni_install_token_renewals_total",
			Help: "Requests for a token.",
		}, []string{"result"}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calico_cni_install_repairs_total",
			Help: "Repairs of files that another program changed.",
		}, []string{"part"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calico_cni_install_pending_releases",
			Help: "Queued releases of addresses that wait for the API server.",
		}),
	}
	version := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "calico_cni_install_build_info",
		Help:        "Version of the installer.",
		ConstLabels: prometheus.Labels{"version": buildinfo.Version},
	}, func() float64 { return 1 })
	readiness := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "calico_cni_install_ready",
		Help: "Whether the host is in the desired state.",
	}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	})
	m.registry.MustRegister(version, readiness, m.expires, m.renewals, m.repairs, m.pending)
	m.renewals.WithLabelValues("success")
	m.renewals.WithLabelValues("failure")
	for _, p := range parts {
		if !p.Routine {
			m.repairs.WithLabelValues(p.Name)
		}
	}
	return m
}

// page returns the handler that serves the metrics.
func (m *metrics) page() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// setToken counts an attempt to renew the token, and stores the expiry of the current one.
func (m *metrics) setToken(expires time.Time, err error) {
	if expires.IsZero() {
		m.expires.Set(0)
	} else {
		m.expires.Set(float64(expires.Unix()))
	}
	result := "success"
	if err != nil {
		result = "failure"
	}
	m.renewals.WithLabelValues(result).Inc()
}

// countRepair counts a completed repair of a part.
func (m *metrics) countRepair(part string) { m.repairs.WithLabelValues(part).Inc() }

// setPending stores the number of queued releases.
func (m *metrics) setPending(n int) { m.pending.Set(float64(n)) }
