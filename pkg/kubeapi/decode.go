// SPDX-License-Identifier: Apache-2.0

package kubeapi

import (
	"encoding/json"
	"errors"
	"fmt"

	"calico-cni/internal/jsonfault"
)

// undecodable says why a response cannot be decoded, with a remedy, but without values from the response.
func undecodable(body []byte, err error) error {
	if fault := jsonfault.Explain(body); fault != "" {
		return fmt.Errorf("%w: %s; retry, and check whether a proxy changes answers", ErrMalformed, fault)
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) && mistyped.Field != "" {
		return fmt.Errorf("%w: its field %s has a value of the wrong type; repair or delete the object", ErrMalformed,
			mistyped.Field)
	}
	return fmt.Errorf("%w: it has a value of the wrong type; repair or delete the object", ErrMalformed)
}
