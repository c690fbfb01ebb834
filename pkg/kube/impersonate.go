// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// impersonation is the user that a kubeconfig's user impersonates.
type impersonation struct {
	User   string              `json:"as"`
	UID    string              `json:"as-uid"`
	Groups []string            `json:"as-groups"`
	Extra  map[string][]string `json:"as-user-extra"`
}

// check returns an error for the first field that a header cannot contain.
func (i impersonation) check() error {
	fields := map[string][]string{"as": {i.User}, "as-uid": {i.UID}, "as-groups": i.Groups}
	for _, field := range []string{"as", "as-uid", "as-groups"} {
		if slices.ContainsFunc(fields[field], func(value string) bool { return !isHeader(value) }) {
			return fmt.Errorf("%s: %w", field, errControl)
		}
	}
	for _, values := range i.Extra {
		if slices.ContainsFunc(values, func(value string) bool { return !isHeader(value) }) {
			return fmt.Errorf("as-user-extra: %w", errControl)
		}
	}
	return nil
}

// impersonate sets the impersonation headers.
//
// Source: the Kubernetes documentation, "User impersonation".
func (i impersonation) impersonate(h http.Header) {
	if i.User == "" {
		return
	}
	h.Set("Impersonate-User", i.User)
	if i.UID != "" {
		h.Set("Impersonate-Uid", i.UID)
	}
	for _, group := range i.Groups {
		h.Add("Impersonate-Group", group)
	}
	for key, values := range i.Extra {
		for _, value := range values {
			h.Add("Impersonate-Extra-"+escapeHeader(key), value)
		}
	}
}

// escapeHeader percent-encodes characters that a header name cannot contain (RFC 9110, section 5.6.2), and the percent
// sign.
func escapeHeader(key string) string {
	const token = "!#$&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	var out strings.Builder
	for _, b := range []byte(key) {
		if strings.IndexByte(token, b) >= 0 {
			out.WriteByte(b)
		} else {
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}
