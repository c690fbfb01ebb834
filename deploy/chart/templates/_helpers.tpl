{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- define "calico-cni.labels" -}}
app.kubernetes.io/name: calico-cni
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "calico-cni.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The API group of the pools. As in install, projectcalico.org/v3 beside crd.projectcalico.org/v1 is Calico's API server. */}}
{{- define "calico-cni.apiGroup" -}}
{{- if .Values.apiGroup }}{{ .Values.apiGroup }}
{{- else if .Capabilities.APIVersions.Has "crd.projectcalico.org/v1/IPPool" }}crd.projectcalico.org/v1
{{- else }}projectcalico.org/v3
{{- end }}
{{- end }}

{{- /* The network configuration with Calico's placeholders, which install fills in on the node. */}}
{{- define "calico-cni.networkConfig" -}}
{
  "name": "k8s-pod-network",
  "cniVersion": "1.0.0",
  "plugins": [
    {
      "type": "calico",
      "log_level": "__LOG_LEVEL__",
      "log_file_path": "__LOG_FILE_PATH__",
      "log_file_max_size": __LOG_FILE_MAX_SIZE__,
      "log_file_max_age": __LOG_FILE_MAX_AGE__,
      "log_file_max_count": __LOG_FILE_MAX_COUNT__,
      "datastore_type": "__DATASTORE_TYPE__",
      "calico_api_group": "__CALICO_API_GROUP__",
      "nodename": "__KUBERNETES_NODE_NAME__",
      "mtu": __CNI_MTU__,
      "require_mtu_file": __REQUIRE_MTU_FILE__,
      {{- if .Values.cni.allowIPForwarding }}
      "container_settings": {"allow_ip_forwarding": true},
      {{- end }}
      "ipam": {"type": "calico-ipam", "assign_ipv4": "{{ .Values.ipam.assignIPv4 }}", "assign_ipv6": "{{ .Values.ipam.assignIPv6 }}"},
      "policy": {"type": "k8s"},
      "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"}
    }
    {{- if .Values.cni.portmap }},
    {
      "type": "portmap",
      "snat": true,
      "capabilities": {"portMappings": true}
    }
    {{- end }}
    {{- if .Values.cni.bandwidth }},
    {
      "type": "bandwidth",
      "capabilities": {"bandwidth": true}
    }
    {{- end }}
  ]
}
{{- end }}

{{- /* Fails where the API server would refuse the pool: the schema cannot compare blockSize with the CIDR. */}}
{{- define "calico-cni.checkedPool" -}}
{{- $least := 20 }}
{{- $most := 32 }}
{{- $blockSize := 26 }}
{{- if contains ":" .cidr }}
{{- $least = 116 }}
{{- $most = 128 }}
{{- $blockSize = 122 }}
{{- end }}
{{- $said := "left out, which means" }}
{{- if hasKey . "blockSize" }}
{{- $said = "" }}
{{- $blockSize = int .blockSize }}
{{- end }}
{{- $prefix := regexFind "[0-9]+$" .cidr | int }}
{{- if gt $prefix $most }}
{{- fail (printf "ipPools: pool %q has the CIDR %s: want a prefix length of %d at most" .name .cidr $most) }}
{{- end }}
{{- if not .disabled }}
{{- $least = max $least $prefix }}
{{- end }}
{{- if or (lt $blockSize (int $least)) (gt $blockSize $most) }}
{{- fail (printf "ipPools: pool %q of %s has blockSize %s: want %d to %d" .name .cidr (printf "%s %d" $said $blockSize | trim) $least $most) }}
{{- end }}
{{- end }}

{{- /* Fails if install would refuse the configuration on every node. The schema cannot check the content of a text. */}}
{{- define "calico-cni.checkedNetworkConfig" -}}
{{- $text := .Values.cni.networkConfig | default (include "calico-cni.networkConfig" .) | trim }}
{{- $known := list "LOG_LEVEL" "LOG_FILE_PATH" "LOG_FILE_MAX_SIZE" "LOG_FILE_MAX_AGE" "LOG_FILE_MAX_COUNT" "DATASTORE_TYPE" "CALICO_API_GROUP"
  "KUBERNETES_NODE_NAME" "KUBERNETES_SERVICE_HOST" "KUBERNETES_SERVICE_PORT" "KUBECONFIG_FILEPATH" "CNI_MTU" "REQUIRE_MTU_FILE"
  "SERVICEACCOUNT_TOKEN" "ETCD_ENDPOINTS" "ETCD_DISCOVERY_SRV" "ETCD_CA_CERT_FILE" "ETCD_CERT_FILE" "ETCD_KEY_FILE" }}
{{- range regexFindAll "__[A-Z][A-Z0-9_]*?__" $text -1 }}
{{- if not (has (trimAll "_" .) $known) }}
{{- fail (printf "cni.networkConfig: unknown placeholder %s" .) }}
{{- end }}
{{- end }}
{{- $parsed := fromJson (regexReplaceAll "__[A-Z][A-Z0-9_]*?__" $text "0") }}
{{- if hasKey $parsed "Error" }}
{{- fail "cni.networkConfig: not a JSON object, with placeholders taken for values" }}
{{- end }}
{{- if not (get $parsed "name") }}
{{- fail "cni.networkConfig: a network configuration needs a name" }}
{{- end }}
{{- if hasKey $parsed "plugins" }}
{{- if not (hasSuffix ".conflist" .Values.cni.confName) }}
{{- fail (printf "cni.confName %q: a list of plugins goes into a file whose name ends in .conflist" .Values.cni.confName) }}
{{- end }}
{{- else if hasSuffix ".conflist" .Values.cni.confName }}
{{- fail (printf "cni.confName %q: cni.networkConfig is a single plugin, for a file whose name ends in .conf" .Values.cni.confName) }}
{{- end }}
{{- $text }}
{{- end }}

{{- /* Settings of all containers. */}}
{{- define "calico-cni.container" -}}
image: {{ include "calico-cni.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  runAsUser: 0
  runAsGroup: 0
  privileged: false
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
    add: [DAC_OVERRIDE]
  {{- with .Values.seLinuxOptions }}
  seLinuxOptions: {{ toJson . }}
  {{- end }}
resources: {{ toJson .Values.resources }}
{{- end }}

{{- /* The name of the node and the address of the API server. */}}
{{- define "calico-cni.node" -}}
- name: KUBERNETES_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- with .Values.apiGroup }}
- name: CALICO_API_GROUP
  value: {{ . }}
{{- end }}
{{- with .Values.apiServer }}
{{- if .host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .host | quote }}
{{- end }}
{{- if .port }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .port | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "calico-cni.env" -}}
{{ include "calico-cni.node" . }}
- name: CNI_NETWORK_CONFIG
  valueFrom: {configMapKeyRef: {name: calico-cni-config, key: cni_network_config}}
- name: CNI_MTU
  valueFrom: {configMapKeyRef: {name: calico-cni-config, key: veth_mtu}}
- name: CNI_NET_DIR
  value: {{ .Values.host.netDir }}
- name: CNI_CONF_NAME
  value: {{ .Values.cni.confName }}
{{- with .Values.cni.oldConfName }}
- name: CNI_OLD_CONF_NAME
  value: {{ . }}
{{- end }}
- name: REQUIRE_MTU_FILE
  value: {{ .Values.cni.requireMTUFile | quote }}
- name: UPDATE_CNI_BINARIES
  value: {{ .Values.cni.updateBinaries | quote }}
- name: CNI_DOWNGRADE
  value: {{ .Values.cni.downgrade | quote }}
{{- with .Values.cni.skipBinaries }}
- name: SKIP_CNI_BINARIES
  value: {{ join "," . | quote }}
{{- end }}
- name: LOG_LEVEL
  value: {{ .Values.cni.log.level }}
- name: LOG_FILE_PATH
  value: {{ .Values.cni.log.file }}
- name: LOG_FILE_MAX_SIZE
  value: {{ .Values.cni.log.maxSize | int64 | quote }}
- name: LOG_FILE_MAX_AGE
  value: {{ .Values.cni.log.maxAge | int64 | quote }}
- name: LOG_FILE_MAX_COUNT
  value: {{ .Values.cni.log.maxCount | int64 | quote }}
{{- end }}

{{- define "calico-cni.mounts" -}}
- {name: cni-bin-dir, mountPath: /host/opt/cni/bin}
- {name: cni-net-dir, mountPath: /host/etc/cni/net.d}
{{- if .Values.host.secondaryBinDir }}
- {name: secondary-bin-dir, mountPath: /host/secondary-bin-dir}
{{- end }}
{{- end }}
