package netconf

import (
	"encoding/json"
	"errors"
	"fmt"
)

// What is wrong with a configuration, and so which CNI error code it takes; match them with errors.Is.
var (
	// ErrDecode: the configuration is not JSON, or a field is of another JSON type (CNI code 6).
	ErrDecode = errors.New("undecodable network configuration")
	// ErrInvalid: a field has a value that it cannot have (CNI code 7).
	ErrInvalid = errors.New("invalid network configuration")
	// ErrUnsupported: a field asks for something that Calico does and this project does not (CNI code 2).
	ErrUnsupported = errors.New("unsupported network configuration")
	// ErrAnnotation: an annotation of the pod or of its namespace cannot be followed (CNI code 7).
	ErrAnnotation = errors.New("invalid annotation")
)

// FieldError is a fault in one field of the configuration, or in one annotation. It never shows a secret.
type FieldError struct {
	// Kind is one of the errors above, which errors.Is finds.
	Kind error
	// Field is the path of the field, "ipam.ipv4_pools[0]", or the annotation's key and whose it is.
	Field string
	// Value is the value as the configuration has it; empty when it is not to be shown, or is the empty string.
	Value string
	// Cure says what is allowed, or what to do.
	Cure string
}

// Error returns kind, field, value and cure on one line.
func (e *FieldError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%v: %s: %s", e.Kind, e.Field, e.Cure)
	}
	return fmt.Sprintf("%v: %s: %s: %s", e.Kind, e.Field, clip(e.Value), e.Cure)
}

// Unwrap returns the kind.
func (e *FieldError) Unwrap() error { return e.Kind }

func invalid(field string, value any, cure string) error {
	return &FieldError{ErrInvalid, field, show(value), cure}
}

func unsupported(field string, value any, cure string) error {
	return &FieldError{ErrUnsupported, field, show(value), cure}
}

// show quotes strings, the empty one too, and leaves JSON as it is.
func show(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case json.RawMessage:
		return string(v)
	}
	return fmt.Sprint(value)
}

// clip keeps an error to one line of a log.
func clip(text string) string {
	const most = 120
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
