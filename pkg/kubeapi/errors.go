// SPDX-License-Identifier: Apache-2.0

package kubeapi

import "errors"

// The classes of errors of the API. Match them with errors.Is. Each unsuccessful response has exactly one of them: see
// classify.
var (
	// ErrNotFound: the API server reports that the object does not exist. No other response has this error, whatever
	// its status code.
	ErrNotFound = errors.New("not found")
	// ErrExists: an object with that name already exists.
	ErrExists = errors.New("already exists")
	// ErrConflict: the object has changed since it was read, or a precondition of a deletion is not met.
	ErrConflict = errors.New("was changed concurrently")
	// ErrUnauthorized: the server rejects the credentials.
	ErrUnauthorized = errors.New("credentials refused")
	// ErrForbidden: the API server accepts the credentials, but they lack a permission.
	ErrForbidden = errors.New("not permitted")
	// ErrInvalid: the API server rejects the object.
	ErrInvalid = errors.New("object refused")
	// ErrRefused: the API server rejects the request regardless of its object, for example its method or media type. A
	// retry does not help.
	ErrRefused = errors.New("request refused")
	// ErrUnavailable: the server cannot be reached or cannot respond now. A retry may help.
	ErrUnavailable = errors.New("API server unavailable")
	// ErrNotServed: the response is not from the requested API. Another server responded, such as a load balancer or a
	// login page, or the API server does not serve the resource, for example because its CustomResourceDefinition is
	// missing. The response says nothing about the object. A retry may help.
	ErrNotServed = errors.New("API not served")
	// ErrMalformed: the response of the API server cannot be decoded.
	ErrMalformed = errors.New("malformed answer")
)
