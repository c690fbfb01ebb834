// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Kinds of configuration errors. Each maps to one CNI error code. Match them with errors.Is.
var (
	// ErrDecode: the configuration is not valid JSON, or a field has the wrong JSON type (CNI code 6).
	ErrDecode = errors.New("undecodable network configuration")
	// ErrInvalid: the value of a field is not allowed (CNI code 7).
	ErrInvalid = errors.New("invalid network configuration")
	// ErrUnsupported: a field requests a feature of Calico that this project does not support (CNI code 2).
	ErrUnsupported = errors.New("unsupported network configuration")
	// ErrAnnotation: an annotation of the pod or its namespace is invalid (CNI code 7).
	ErrAnnotation = errors.New("invalid annotation")
)

// FieldError is an error in one field of the configuration or in one annotation. It never contains a secret.
type FieldError struct {
	// Kind is one of the errors above. Unwrap returns it.
	Kind error
	// Field is the path of the field, such as "ipam.ipv4_pools[0]", or the annotation's key and its object.
	Field string
	// Value is the configured value. It is empty if it may be a secret.
	Value string
	// Remedy says what is allowed or what to do.
	Remedy string
}

// Error returns the kind, field, value and remedy on one line.
func (e *FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%v: %s: %s", e.Kind, e.Field, e.Remedy)
	}
	return fmt.Sprintf("%v: %s: %s: %s", e.Kind, e.Field, clip(e.Value), e.Remedy)
}

// Unwrap returns the kind.
func (e *FieldError) Unwrap() error { return e.Kind }

func invalid(field string, value any, remedy string) error {
	return &FieldError{ErrInvalid, field, show(value), remedy}
}

func unsupported(field string, value any, remedy string) error {
	return &FieldError{ErrUnsupported, field, show(value), remedy}
}

// show quotes strings, including the empty string, and returns other JSON unchanged.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case json.RawMessage:
		return string(v)
	}
	return fmt.Sprint(value)
}

// clip shortens a text so that the error fits on one line of a log.
func clip(text string) string {
	const most = 120
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
