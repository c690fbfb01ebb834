// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"net/http"
	"strings"
)

// notPermitted returns the remedy for a request that the API server does not permit: a role if RBAC refuses it.
// Otherwise an admission check refuses it, and no role helps.
func (e *explainer) notPermitted(message string) string {
	if _, rest, named := strings.Cut(message, `User "`); named && strings.Contains(rest, " cannot ") {
		return "; no ClusterRole grants this right to the user of " + e.provenance.source + e.wrongPath()
	}
	return e.admission() + e.wrongPath()
}

// objectRefused returns the remedy for an object that the API server refuses. group is the API group of the object.
func (e *explainer) objectRefused(group, message string) string {
	if strings.Contains(message, "denied the request") || strings.Contains(message, "denied request") {
		return e.admission()
	}
	const check = "check whether an admission webhook or policy changes the object"
	if group == "" {
		return "; " + check
	}
	return "; apply the CustomResourceDefinitions of this version of the plugins, and " + check
}

// admission returns the remedy for a request that an admission check refuses.
func (e *explainer) admission() string {
	return "; an admission webhook, policy or plugin of the API server refuses the request: change it so that it allows " +
		"the requests of the user of " + e.provenance.source
}

// failed returns the remedy for a response that reports overload or failure. byServer says that the API server itself
// has responded, not a proxy.
func (e *explainer) failed(code int, byServer bool) string {
	switch {
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("; %s limits the rate of requests: retry, or lower the load on the API server", e.host())
	case byServer:
		return "; see the log of the API server at " + e.host()
	}
	return fmt.Sprintf("; check the API server, and the load balancer or proxy in front of it, at %s", e.host())
}
