package netconf

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	types020 "github.com/containernetworking/cni/pkg/types/020"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// PrevResult decodes the result of the previous plugin in the chain, of any CNI version, as one of the newest version. It is nil
// when there is none. An error wraps ErrDecode; what the specification's library would take and then stumble over, a null or an
// address that is not there, is one.
func (c *NetConf) PrevResult() (*current.Result, error) {
	if c.RawPrevResult == nil {
		return nil, nil
	}
	result := &current.Result{}
	if err := c.decodePrevious(result); err != nil {
		return nil, err
	}
	if field, n := firstHollow(result); n >= 0 {
		return nil, &FieldError{ErrDecode, fmt.Sprintf("prevResult.%s[%d]", field, n), "", "want an object, with its dst or address"}
	}
	result.CNIVersion = current.ImplementedSpecVersion
	return result, nil
}

func (c *NetConf) decodePrevious(result *current.Result) error {
	var before030 struct {
		IP4 json.RawMessage `json:"ip4"`
		IP6 json.RawMessage `json:"ip6"`
	}
	if err := decode(c.RawPrevResult, "prevResult.", &before030); err != nil {
		return err
	}
	if before030.IP4 == nil && before030.IP6 == nil {
		// Since 0.3.0 results only gained keys, but for the version of an address, which the address itself tells.
		return decode(c.RawPrevResult, "prevResult.", result)
	}
	old := &types020.Result{}
	if err := decode(c.RawPrevResult, "prevResult.", old); err != nil {
		return err
	}
	old.CNIVersion = types020.ImplementedSpecVersion
	converted, err := current.NewResultFromResult(old)
	if err != nil {
		return decodeError(err, "prevResult.")
	}
	*result = *converted
	return nil
}

// firstHollow returns what of a result is no object, or has not what it is there for; n is below 0 where all is well.
func firstHollow(r *current.Result) (field string, n int) {
	if n = slices.Index(r.Interfaces, nil); n >= 0 {
		return "interfaces", n
	}
	if n = slices.IndexFunc(r.IPs, func(ip *current.IPConfig) bool { return ip == nil || ip.Address.IP == nil }); n >= 0 {
		return "ips", n
	}
	return "routes", slices.IndexFunc(r.Routes, func(route *types.Route) bool { return route == nil || route.Dst.IP == nil })
}
