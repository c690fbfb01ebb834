// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"calico-cni/internal/jsonfault"
)

// Parse reads the network configuration from standard input, validates it and fills in the defaults. An error wraps
// ErrDecode, ErrInvalid or ErrUnsupported. It is a *FieldError if one field is the cause. Parse ignores unknown keys.
//
// Source: CNI specification 1.1.0, section 1; Calico's configuration reference.
func Parse(stdin []byte) (*NetConf, error) {
	conf, other := &NetConf{}, foreign{}
	if err := cmp.Or(decode(stdin, "", conf), decode(stdin, "", &other)); err != nil {
		return nil, err
	}
	if err := other.refuse(conf.DatastoreType); err != nil {
		return nil, err
	}
	var found warnings
	other.warn(&found)
	normalize(conf)
	tolerate(conf, &found)
	if err := validate(conf); err != nil {
		return nil, err
	}
	var err error
	if conf.IPAM, err = parseIPAM(conf.RawIPAM, &found); err != nil {
		return nil, err
	}
	if err := checkNetwork(conf); err != nil {
		return nil, err
	}
	conf.Warnings = found
	return conf, nil
}

// decode decodes JSON. Its error names the field, relative to path.
func decode(data []byte, path string, into any) error {
	if len(data) == 0 && path != "" {
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return decodeError(data, err, path)
	}
	return nil
}

// decodeError describes an error of encoding/json without the values that it may quote, because they may be secrets.
func decodeError(data []byte, err error, path string) error {
	if fault := jsonfault.Explain(data); fault != "" {
		return fmt.Errorf("%w: %s", ErrDecode, fault)
	}
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return &FieldError{ErrDecode, fieldPath(path, wrongType.Field), "", "want " + jsonType(wrongType.Type)}
	}
	return &FieldError{ErrDecode, fieldPath(path, ""), "", "want the format of the CNI specification"}
}

func fieldPath(path, field string) string {
	if full := strings.TrimSuffix(path+field, "."); full != "" {
		return full
	}
	return "the configuration"
}

// jsonType returns the name of the JSON type that a Go type is decoded from.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false, without quotes"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}
