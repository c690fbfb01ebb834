// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var placeholder = regexp.MustCompile(`__[A-Z][A-Z0-9_]*?__`)

// placeholders are Calico's. Those of etcd stand for nothing, as they do for Calico on the Kubernetes datastore.
func (v Values) placeholders() map[string]string {
	return map[string]string{
		"__LOG_LEVEL__":               v.LogLevel,
		"__LOG_FILE_PATH__":           v.LogFilePath,
		"__LOG_FILE_MAX_SIZE__":       strconv.Itoa(v.LogFileMaxSize),
		"__LOG_FILE_MAX_AGE__":        strconv.Itoa(v.LogFileMaxAge),
		"__LOG_FILE_MAX_COUNT__":      strconv.Itoa(v.LogFileMaxCount),
		"__DATASTORE_TYPE__":          v.DatastoreType,
		"__CALICO_API_GROUP__":        v.APIGroup,
		"__KUBERNETES_NODE_NAME__":    v.NodeName,
		"__KUBERNETES_SERVICE_HOST__": v.ServiceHost,
		"__KUBERNETES_SERVICE_PORT__": v.ServicePort,
		"__KUBECONFIG_FILEPATH__":     v.Kubeconfig,
		"__CNI_MTU__":                 strconv.Itoa(v.MTU),
		"__REQUIRE_MTU_FILE__":        strconv.FormatBool(v.RequireMTUFile),
		"__SERVICEACCOUNT_TOKEN__":    v.Token,
		"__ETCD_ENDPOINTS__":          "",
		"__ETCD_DISCOVERY_SRV__":      "",
		"__ETCD_CA_CERT_FILE__":       "",
		"__ETCD_CERT_FILE__":          "",
		"__ETCD_KEY_FILE__":           "",
	}
}

// expand replaces the placeholders in the text, which need not be JSON before ("mtu": __CNI_MTU__). Values are escaped
// for a JSON string. One pass: what looks like a placeholder in a value stays.
func expand(template string, v Values) ([]byte, error) {
	values, unknown := v.placeholders(), []string{}
	text := placeholder.ReplaceAllStringFunc(v.withHost(template), func(name string) string {
		value, ok := values[name]
		if !ok && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
		return escape(value)
	})
	if len(unknown) > 0 {
		return nil, fmt.Errorf("%w: unknown placeholder %s in the template; remove it or write its value", ErrInvalid,
			strings.Join(unknown, ", "))
	}
	return []byte(text), nil
}

// hostInURL is the placeholder of the API server's host as part of a URL or before a port.
var hostInURL = regexp.MustCompile(`//\[?__KUBERNETES_SERVICE_HOST__\]?:?|\[?__KUBERNETES_SERVICE_HOST__\]?:`)

// withHost replaces the API server's host where it is part of a URL or stands before a port: brackets are around an
// IPv6 address there, and around nothing else, whether or not the template or KUBERNETES_SERVICE_HOST has some.
func (v Values) withHost(template string) string {
	host := strings.TrimSuffix(strings.TrimPrefix(v.ServiceHost, "["), "]")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return hostInURL.ReplaceAllStringFunc(template, func(found string) string {
		slashes, colon := "", ""
		if strings.HasPrefix(found, "//") {
			slashes = "//"
		}
		if strings.HasSuffix(found, ":") {
			colon = ":"
		}
		return slashes + escape(host) + colon
	})
}

// escape returns s as it stands between the quotes of a JSON string.
func escape(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	// A string always encodes, and a buffer takes everything.
	_ = encoder.Encode(s)
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), `"`), `"`)
}
