// SPDX-License-Identifier: Apache-2.0

package netconf

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types020 "github.com/containernetworking/cni/pkg/types/020"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// PrevResult decodes the result of the previous plugin, of any CNI version, into the newest version. It returns nil if
// there is none. An error wraps ErrDecode. A result with an incomplete entry is an error; see IncompleteEntry.
func (c *NetConf) PrevResult() (*current.Result, error) {
	if c.RawPrevResult == nil {
		return nil, nil
	}
	result := &current.Result{}
	if err := decodePrevious(c.RawPrevResult, result); err != nil {
		return nil, err
	}
	if entry := IncompleteEntry(result); entry != "" {
		return nil, &FieldError{ErrDecode, "prevResult." + entry, "", "want an object with dst or address"}
	}
	result.CNIVersion = current.ImplementedSpecVersion
	return result, nil
}

func decodePrevious(raw json.RawMessage, result *current.Result) error {
	var before030 struct {
		IP4 json.RawMessage `json:"ip4"`
		IP6 json.RawMessage `json:"ip6"`
	}
	if err := decode(raw, "prevResult.", &before030); err != nil {
		return err
	}
	if before030.IP4 == nil && before030.IP6 == nil {
		// Since 0.3.0 results only gained keys, except for the version of an address, which the address itself implies.
		return decode(raw, "prevResult.", result)
	}
	old := &types020.Result{}
	if err := decode(raw, "prevResult.", old); err != nil {
		return err
	}
	old.CNIVersion = types020.ImplementedSpecVersion
	converted, err := current.NewResultFromResult(old)
	if err != nil {
		return decodeError(raw, err, "prevResult.")
	}
	*result = *converted
	return nil
}

// IncompleteEntry returns the first entry of a result that is null or lacks its address or destination, such as
// "ips[0]", or an empty string. Code that uses results relies on both.
func IncompleteEntry(r *current.Result) string {
	field, n := "interfaces", slices.Index(r.Interfaces, nil)
	if n < 0 {
		field, n = "ips", slices.IndexFunc(r.IPs, func(ip *current.IPConfig) bool {
			return ip == nil || ip.Address.IP == nil
		})
	}
	if n < 0 {
		field, n = "routes", slices.IndexFunc(r.Routes, func(route *types.Route) bool {
			return route == nil || route.Dst.IP == nil
		})
	}
	if n < 0 {
		return ""
	}
	return fmt.Sprintf("%s[%d]", field, n)
}
