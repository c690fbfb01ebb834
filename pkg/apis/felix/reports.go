// SPDX-License-Identifier: Apache-2.0

package felix

// Reports configures logs, health and metrics.
type Reports struct {
	// LogSeverityScreen is the lowest level that is logged to standard output. The default is Info.
	LogSeverityScreen LogLevel `json:"logSeverityScreen,omitempty"`
	// LogSeverityFile is the lowest level that is logged to a file. The default is Info.
	LogSeverityFile LogLevel `json:"logSeverityFile,omitempty"`
	// LogSeveritySys is the lowest level that is logged to syslog. The default is Info.
	LogSeveritySys LogLevel `json:"logSeveritySys,omitempty"`
	// LogFilePath is the path of the log file. The default is /var/log/calico/felix.log; none disables it.
	LogFilePath string `json:"logFilePath,omitempty"`
	// LogDebugFilenameRegex limits debug messages to source files whose names match.
	LogDebugFilenameRegex string `json:"logDebugFilenameRegex,omitempty"`
	// HealthEnabled serves /liveness and /readiness. The default is false.
	HealthEnabled *bool `json:"healthEnabled,omitempty"`
	// HealthHost is the address for health. The default is localhost.
	HealthHost string `json:"healthHost,omitempty"`
	// HealthPort is the port for health. The default is 9099.
	HealthPort *int `json:"healthPort,omitempty"`
	// HealthTimeoutOverrides are the timeouts of single parts.
	// +listType=atomic
	HealthTimeoutOverrides []HealthTimeout `json:"healthTimeoutOverrides,omitempty"`
	// DataplaneWatchdogTimeout is the time after which the data plane counts as stuck, a duration. The default is 90s.
	DataplaneWatchdogTimeout string `json:"dataplaneWatchdogTimeout,omitempty"`
	// PrometheusMetricsEnabled serves metrics. The default is false.
	PrometheusMetricsEnabled *bool `json:"prometheusMetricsEnabled,omitempty"`
	// PrometheusMetricsHost is the address for metrics. The default is every address.
	PrometheusMetricsHost string `json:"prometheusMetricsHost,omitempty"`
	// PrometheusMetricsPort is the port for metrics. The default is 9091.
	PrometheusMetricsPort *int `json:"prometheusMetricsPort,omitempty"`
	// PrometheusMetricsCAFile is the path of the certificates of authorities for clients.
	PrometheusMetricsCAFile string `json:"prometheusMetricsCAFile,omitempty"`
	// PrometheusMetricsCertFile is the path of the server's certificate. Absent serves metrics without TLS.
	PrometheusMetricsCertFile string `json:"prometheusMetricsCertFile,omitempty"`
	// PrometheusMetricsKeyFile is the path of the server's key.
	PrometheusMetricsKeyFile string `json:"prometheusMetricsKeyFile,omitempty"`
	// PrometheusMetricsClientAuth is the check of client certificates: RequireAndVerifyClientCert,
	// RequireAnyClientCert, VerifyClientCertIfGiven or NoClientCert.
	// +kubebuilder:validation:Enum=RequireAndVerifyClientCert;RequireAnyClientCert;VerifyClientCertIfGiven;NoClientCert
	PrometheusMetricsClientAuth string `json:"prometheusMetricsClientAuth,omitempty"`
	// PrometheusGoMetricsEnabled includes the metrics of the Go runtime. The default is true.
	PrometheusGoMetricsEnabled *bool `json:"prometheusGoMetricsEnabled,omitempty"`
	// PrometheusProcessMetricsEnabled includes the metrics of the process. The default is true.
	PrometheusProcessMetricsEnabled *bool `json:"prometheusProcessMetricsEnabled,omitempty"`
	// PrometheusWireGuardMetricsEnabled includes the metrics of WireGuard. The default is true.
	PrometheusWireGuardMetricsEnabled *bool `json:"prometheusWireGuardMetricsEnabled,omitempty"`
	// ReportingInterval is the time between two reports of the state into etcd. The default is 30s; 0 disables them.
	ReportingInterval Duration `json:"reportingInterval,omitempty"`
	// ReportingTTL is how long such a report is valid. The default is 90s.
	ReportingTTL Duration `json:"reportingTTL,omitempty"`
	// UsageReportingEnabled sends statistics to Calico's authors. This project never does.
	UsageReportingEnabled *bool `json:"usageReportingEnabled,omitempty"`
	// UsageReportingInitialDelay is the time before the first such report. The default is 5m.
	UsageReportingInitialDelay Duration `json:"usageReportingInitialDelay,omitempty"`
	// UsageReportingInterval is the time between two such reports. The default is 24h.
	UsageReportingInterval Duration `json:"usageReportingInterval,omitempty"`
}
