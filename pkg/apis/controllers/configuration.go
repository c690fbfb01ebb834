// SPDX-License-Identifier: Apache-2.0

package controllers

// Configuration is the content of a KubeControllersConfiguration object. Only the object named "default" is used.
type Configuration struct {
	// LogSeverityScreen is the lowest level that is logged: None, Debug, Info (default), Warning, Error, Fatal or
	// Panic.
	// +kubebuilder:validation:Enum=None;Debug;Info;Warning;Error;Fatal;Panic
	LogSeverityScreen string `json:"logSeverityScreen,omitempty"`
	// HealthChecks reports the health of the controllers if Enabled (default).
	// +kubebuilder:default=Enabled
	HealthChecks Switch `json:"healthChecks,omitempty"`
	// EtcdV3CompactionPeriod is the time between compactions of etcd, a duration. It has no effect on the Kubernetes
	// API.
	EtcdV3CompactionPeriod string `json:"etcdV3CompactionPeriod,omitempty"`
	// PrometheusMetricsPort serves metrics. The default is 9094; 0 disables them.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	PrometheusMetricsPort *int `json:"prometheusMetricsPort,omitempty"`
	// DebugProfilePort serves profiles on the loopback address. Absent or 0 disables them.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	DebugProfilePort *int32 `json:"debugProfilePort,omitempty"`
	// Controllers has a field for each controller. A controller whose field is absent does not run.
	// +required
	Controllers Controllers `json:"controllers"`
}

// Switch is Enabled or Disabled.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type Switch string

// Values of Switch.
const (
	Enabled  Switch = "Enabled"
	Disabled Switch = "Disabled"
)

// Controllers are the configurations of the controllers.
type Controllers struct {
	// Node releases addresses of deleted nodes and pods, and maintains host endpoints.
	Node *Node `json:"node,omitempty"`
	// Policy copies policies of Kubernetes into etcd.
	Policy *Reconciler `json:"policy,omitempty"`
	// WorkloadEndpoint copies labels of pods into etcd.
	WorkloadEndpoint *Reconciler `json:"workloadEndpoint,omitempty"`
	// ServiceAccount copies service accounts into etcd.
	ServiceAccount *Reconciler `json:"serviceAccount,omitempty"`
	// Namespace copies namespaces into etcd.
	Namespace *Reconciler `json:"namespace,omitempty"`
	// LoadBalancer assigns addresses to Services of type LoadBalancer.
	LoadBalancer *LoadBalancer `json:"loadBalancer,omitempty"`
	// Migration converts objects of older versions.
	Migration *Migration `json:"migration,omitempty"`
}

// Reconciler is the configuration of a controller that repeats its work.
type Reconciler struct {
	// ReconcilerPeriod is the time between two full comparisons, a duration. The default is 5m.
	ReconcilerPeriod string `json:"reconcilerPeriod,omitempty"`
}

// Node is the configuration of the node controller.
type Node struct {
	// ReconcilerPeriod is the time between two full comparisons, a duration. The default is 5m.
	ReconcilerPeriod string `json:"reconcilerPeriod,omitempty"`
	// SyncLabels copies labels of Nodes into etcd if Enabled (default).
	SyncLabels Switch `json:"syncLabels,omitempty"`
	// HostEndpoint configures host endpoints that the controller creates.
	HostEndpoint *HostEndpoint `json:"hostEndpoint,omitempty"`
	// LeakGracePeriod is the time after which an address without a pod is released, a duration. The default is 15m; 0
	// releases none.
	LeakGracePeriod string `json:"leakGracePeriod,omitempty"`
}

// HostEndpoint configures the host endpoints of nodes.
type HostEndpoint struct {
	// AutoCreate creates host endpoints for every node if Enabled. The default is Disabled.
	AutoCreate Switch `json:"autoCreate,omitempty"`
	// CreateDefaultHostEndpoint creates a host endpoint for all interfaces of a node if Enabled (default).
	CreateDefaultHostEndpoint string `json:"createDefaultHostEndpoint,omitempty"`
	// Templates of further host endpoints.
	// +listType=atomic
	Templates []Template `json:"templates,omitempty"`
}

// Template creates a host endpoint on each node that it selects.
type Template struct {
	// GenerateName is part of the names of the host endpoints, which begin with the node and end with "-auto-hep".
	// +kubebuilder:validation:MaxLength=253
	GenerateName string `json:"generateName,omitempty"`
	// InterfaceCIDRs select interfaces by their addresses.
	// +listType=set
	InterfaceCIDRs []string `json:"interfaceCIDRs,omitempty"`
	// InterfacePattern selects interfaces by name, as a regular expression.
	InterfacePattern string `json:"interfacePattern,omitempty"`
	// NodeSelector selects nodes by their labels.
	NodeSelector string `json:"nodeSelector,omitempty"`
	// Labels of the host endpoints.
	Labels map[string]string `json:"labels,omitempty"`
	// Annotations of the host endpoints.
	Annotations map[string]string `json:"annotations,omitempty"`
}

// LoadBalancer is the configuration of the load balancer controller.
type LoadBalancer struct {
	// AssignIPs is AllServices (default), or RequestedServicesOnly for Services that ask by an annotation.
	// +kubebuilder:validation:Enum=AllServices;RequestedServicesOnly
	// +kubebuilder:default=AllServices
	AssignIPs string `json:"assignIPs,omitempty"`
}

// Migration is the configuration of the migration controller.
type Migration struct {
	// PolicyNameMigrator renames policies whose stored names have the prefix "default." if Enabled (default).
	// +kubebuilder:default=Enabled
	PolicyNameMigrator Switch `json:"policyNameMigrator,omitempty"`
}

// Status is the status of a KubeControllersConfiguration object.
type Status struct {
	// RunningConfig is the configuration in use, with the environment variables applied.
	RunningConfig *Configuration `json:"runningConfig,omitempty"`
	// EnvironmentVars are the environment variables that override the configuration.
	EnvironmentVars map[string]string `json:"environmentVars,omitempty"`
}
