// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "net/url"

// Media types of requests and responses.
const (
	JSON = "application/json"
	// metadataOnly requests only the metadata of an object, metadataOnlyList that of all objects of a list.
	metadataOnly     = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	metadataOnlyList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
	mergePatch       = "application/merge-patch+json"
	jsonPatch        = "application/json-patch+json"
)

// Request is one request of the API.
type Request struct {
	// Action names the request in errors, for example "get ippools default".
	Action string
	// Method is the HTTP method. Path is appended to the path of the server.
	Method, Path string
	Query        url.Values
	// Of identifies the object of the request.
	Of Subject
	// Accept is the media type of the response, JSON if it is empty; Content is that of the body.
	Accept, Content string
	Body            []byte
}

// Subject identifies the object of a request as a Status of the API does: by API group, plural name of the resource,
// and name. Name is empty for a list and a creation.
type Subject struct{ Group, Resource, Name string }
