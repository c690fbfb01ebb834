// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/agent/reconcile"
)

// buckets are those of the times from an event to the kernel, in seconds.
var buckets = []float64{.002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}

// metrics are the Prometheus metrics of the agent. docs/monitoring.md lists them. Those of Felix have its names.
type metrics struct {
	registry  *prometheus.Registry
	apply     prometheus.Histogram
	latency   prometheus.Histogram
	failures  prometheus.Counter
	hosts     prometheus.Gauge
	endpoints prometheus.Gauge
	findings  prometheus.Gauge
	writes    *prometheus.CounterVec
	faults    *prometheus.GaugeVec
	// counted are the writes that are in the counters.
	counted map[string]int
}

// newMetrics returns metrics with all their labels, so that each counter starts at 0.
func newMetrics(parts []string, ready func() bool) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), counted: map[string]int{},
		apply: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "felix_int_dataplane_apply_time_seconds", Buckets: buckets,
			Help: "Time to compute the desired state and to apply it to the kernel.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "calico_node_event_to_kernel_seconds", Buckets: buckets,
			Help: "Time from the first change of an object until the kernel is in the desired state.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "felix_int_dataplane_failures", Help: "Rounds in which something could not be written.",
		}),
		hosts: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "felix_cluster_num_hosts", Help: "Nodes of the cluster.",
		}),
		endpoints: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "felix_active_local_endpoints", Help: "Pods of the node that have an interface.",
		}),
		findings: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "calico_node_findings", Help: "Problems of objects and settings. The log and /readiness name them.",
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "calico_node_writes_total", Help: "Changes of the kernel and of files.",
		}, []string{"part"}),
		faults: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "calico_node_faults", Help: "Objects of the kernel and files that could not be written.",
		}, []string{"part"}),
	}
	isReady := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "calico_node_ready", Help: "Whether the network of the node is in force.",
	}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	})
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "calico_node_build_info", Help: "Version of the agent.",
		ConstLabels: prometheus.Labels{"version": buildinfo.Version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.apply, m.latency, m.failures, m.hosts, m.endpoints, m.findings, m.writes, m.faults, isReady,
		info)
	for _, part := range parts {
		m.writes.WithLabelValues(part)
		m.faults.WithLabelValues(part)
	}
	return m
}

// round records a round that took some time. since is the time since the first change that it covers; it is 0 if there
// was none.
func (m *metrics) round(s reconcile.Status, took, since time.Duration) {
	m.apply.Observe(took.Seconds())
	if since > 0 && s.Ready() {
		m.latency.Observe(since.Seconds())
	}
	if len(s.Faults()) > 0 {
		m.failures.Inc()
	}
	for _, p := range s.Parts {
		faults := len(p.Last.Faults)
		if p.Last.Err != nil {
			faults++
		}
		m.faults.WithLabelValues(p.Name).Set(float64(faults))
		m.writes.WithLabelValues(p.Name).Add(float64(p.Writes - m.counted[p.Name]))
		m.counted[p.Name] = p.Writes
	}
}

// serve serves HTTP until the context ends. remedy says what to do if the address is in use.
func serve(ctx context.Context, address string, handler http.Handler, remedy string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve HTTP: %w; %s", err, remedy)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// page serves the metrics.
func (m *metrics) page() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
