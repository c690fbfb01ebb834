// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// status has the fields of a Status of the API that the client uses.
type status struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Details struct {
		Name   string        `json:"name"`
		Group  string        `json:"group"`
		Kind   string        `json:"kind"`
		Causes []statusCause `json:"causes"`
	} `json:"details"`
}

// statusCause is one of the causes in a Status.
type statusCause struct {
	Field string `json:"field"`
}

// class returns the sentinel error of a Status whose code is neither a success nor an overload.
func (s *status) class(code int, of Subject) error {
	switch code {
	case http.StatusNotFound:
		if s.absent(of) {
			return ErrNotFound
		}
		return ErrNotServed
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		if strings.Contains(s.Message, definitionTerminating) {
			return ErrNotServed
		}
		if strings.Contains(s.Message, anonymous) {
			return ErrUnauthorized
		}
		return ErrForbidden
	case http.StatusConflict:
		if s.Reason == "AlreadyExists" {
			return ErrExists
		}
		return ErrConflict
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		// The API server reports a different UID as a change of an immutable field, not as a conflict.
		if s.otherUID() {
			return ErrConflict
		}
		return ErrInvalid
	}
	return ErrRefused
}

// definitionTerminating is part of the API server's message when it rejects the creation of an object while its
// CustomResourceDefinition is being deleted. This is not a missing permission.
const definitionTerminating = "custom resource definition is terminating"

// anonymous is part of the message about a request whose credentials the API server ignores, as it does with passwords.
// Other credentials help, not a permission.
const anonymous = `User "system:anonymous"`

// absent reports whether the Status says that the object of the request does not exist. A Status about a resource that
// is not served has the same reason but no name. One about a missing namespace has another name.
func (s *status) absent(of Subject) bool {
	d := s.Details
	return s.Reason == "NotFound" && of.Name != "" && d.Name == of.Name && d.Kind == of.Resource && d.Group == of.Group
}

func (s *status) otherUID() bool {
	return slices.ContainsFunc(s.Details.Causes, func(c statusCause) bool { return c.Field == "metadata.uid" })
}

// statusOf returns the Status in a body, or nil if the body is something else.
func statusOf(body []byte) *status {
	var s status
	if !isObject(body) || json.Unmarshal(body, &s) != nil || s.Kind != "Status" {
		return nil
	}
	return &s
}
