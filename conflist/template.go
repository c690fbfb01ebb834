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

// placeholders returns the values of Calico's placeholders. Those of etcd are empty, as with Calico on the Kubernetes
// datastore.
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

// expand replaces the placeholders in the text, which need not be valid JSON before ("mtu": __CNI_MTU__). It escapes
// the values for a JSON string. It does not replace placeholders in values.
func expand(template string, v Values) ([]byte, error) {
	replacements, unknown := v.placeholders(), []string{}
	text := placeholder.ReplaceAllStringFunc(v.withHost(template), func(name string) string {
		value, ok := replacements[name]
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

// withHost replaces the API server's host where it is part of a URL or precedes a port. An IPv6 address gets brackets
// there, and anything else gets none, whether or not the template or KUBERNETES_SERVICE_HOST has them.
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

// escape returns the content of s as a JSON string, without the quotes.
func escape(s string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	// Neither encoding a string nor writing to a buffer can fail.
	_ = encoder.Encode(s)
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSuffix(out.String(), "\n"), `"`), `"`)
}
