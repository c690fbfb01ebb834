// SPDX-License-Identifier: Apache-2.0

package kube

import "net/url"

// Media types of requests and responses.
const (
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json"
	typeJSONPatch  = "application/json-patch+json"
)

// request is one request of the API, with its retries.
type request struct {
	// what names the request in errors, for example "get ippools default".
	what, method, path string
	query              url.Values
	// of identifies the object of the request.
	of subject
	// accept is the media type of the response, JSON if it is empty; content is that of the body.
	accept, content string
	body            []byte
}
