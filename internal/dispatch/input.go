// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netns"

	"calico-cni/internal/jsonfault"
	"calico-cni/internal/netnspath"
)

// verb describes a command: the required environment variables, and the first version of the specification that has it.
type verb struct {
	name     string
	required []string
	since    string
}

func verbOf(command string) (v verb, ok bool) {
	switch command {
	case "ADD":
		return verb{command, []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}, "0.1.0"}, true
	case "DEL":
		return verb{command, []string{"CNI_CONTAINERID", "CNI_IFNAME"}, "0.1.0"}, true
	case "CHECK":
		return verb{command, []string{"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"}, "0.4.0"}, true
	case "GC":
		return verb{command, []string{"CNI_PATH"}, "1.1.0"}, true
	case "STATUS":
		return verb{command, nil, "1.1.0"}, true
	case "VERSION":
		return verb{command, nil, "0.1.0"}, true
	}
	return verb{}, false
}

// attaches reports whether the verb concerns one attachment.
func (v verb) attaches() bool { return slices.Contains(v.required, "CNI_CONTAINERID") }

// environment reads the CNI_* variables. Those that a verb requires must be set and well formed. The error names the
// variable.
func (i *invocation) environment(v verb) (*skel.CmdArgs, *types.Error) {
	args := &skel.CmdArgs{
		ContainerID:   i.p.Getenv("CNI_CONTAINERID"),
		Netns:         i.p.Getenv("CNI_NETNS"),
		IfName:        i.p.Getenv("CNI_IFNAME"),
		Args:          i.p.Getenv("CNI_ARGS"),
		Path:          i.p.Getenv("CNI_PATH"),
		NetnsOverride: i.p.Getenv("CNI_NETNS_OVERRIDE"),
	}
	var missing []string
	for _, name := range v.required {
		if i.p.Getenv(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, types.NewError(types.ErrInvalidEnvironmentVariables,
			fmt.Sprintf("%s without %s; the runtime must set it", v.name, strings.Join(missing, ", ")), "")
	}
	if v.attaches() {
		if err := utils.ValidateContainerID(args.ContainerID); err != nil {
			return nil, invalid("CNI_CONTAINERID", args.ContainerID,
				"want a letter or digit, then letters, digits, '_', '.' or '-'")
		}
		if err := utils.ValidateInterfaceName(args.IfName); err != nil {
			return nil, invalid("CNI_IFNAME", args.IfName,
				"want 1 to 15 bytes, not . or .., without slash, colon or whitespace")
		}
	}
	return args, nil
}

func invalid(name, value, remedy string) *types.Error {
	return types.NewError(types.ErrInvalidEnvironmentVariables,
		fmt.Sprintf("%s %q is invalid: %s", name, value, remedy), "")
}

// config reads standard input and checks the rules that apply to every plugin: it must be a JSON object with a valid
// network name, in a version that has the verb.
func (i *invocation) config(v verb) ([]byte, *types.Error) {
	data, err := io.ReadAll(i.p.Stdin)
	if err != nil {
		return nil, types.NewError(types.ErrIOFailure, fmt.Sprintf("read network configuration from standard input: %v",
			err), "")
	}
	var conf struct {
		CNIVersion *string `json:"cniVersion"`
		Name       string  `json:"name"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode network configuration: "+undecodable(data, err),
			"")
	}
	// An absent version means 0.1.0.
	i.cniVersion = "0.1.0"
	if conf.CNIVersion != nil && *conf.CNIVersion != "" {
		i.cniVersion = *conf.CNIVersion
	}
	if err := i.checkVersion(v); err != nil {
		return nil, err
	}
	if conf.Name == "" {
		return nil, types.NewError(types.ErrInvalidNetworkConfig, "network configuration has no name; set \"name\"", "")
	}
	if err := utils.ValidateNetworkName(conf.Name); err != nil {
		return nil, types.NewError(types.ErrInvalidNetworkConfig,
			fmt.Sprintf("network name %q is invalid: want a letter or digit, then letters, digits, '_', '.' or '-'",
				conf.Name), "")
	}
	return data, nil
}

// undecodable describes a JSON error without the names of Go types.
func undecodable(data []byte, err error) string {
	if fault := jsonfault.Explain(data); fault != "" {
		return fault
	}
	var e *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &e):
		return "want one JSON object"
	case e.Field == "":
		return "want one JSON object, not " + e.Value
	}
	return e.Field + ": want a string, not " + e.Value
}

func (i *invocation) checkVersion(v verb) *types.Error {
	asked := i.cniVersion
	if !slices.Contains(Versions(), asked) {
		// The error must use a supported version.
		i.cniVersion = version.Current()
		return types.NewError(types.ErrIncompatibleCNIVersion,
			fmt.Sprintf("cniVersion %q is not supported; set one of %s", asked, strings.Join(Versions(), ", ")), "")
	}
	if ok, err := version.GreaterThanOrEqualTo(asked, v.since); err != nil || !ok {
		return types.NewError(types.ErrIncompatibleCNIVersion,
			fmt.Sprintf("cniVersion %s has no %s, which was added in %s", asked, v.name, v.since), "")
	}
	return nil
}

// netns rejects the plugin's own network namespace and, if the plugin enters the namespace, one that does not exist. It
// does so before the verb runs. A DEL continues in both cases: the path of a deleted sandbox may now refer to another
// process, and the resources of the sandbox must still be released. The data plane does not touch such a namespace.
func (i *invocation) netns(v verb, args *skel.CmdArgs) *types.Error {
	if args.Netns == "" || !v.attaches() || v.name == "DEL" {
		return nil
	}
	pod, err := netnspath.Open(args.Netns)
	if err != nil {
		if !errors.Is(err, netnspath.ErrNone) {
			return nil // The data plane reports it with its remedy.
		}
		if v.name == "ADD" && i.plugin.EntersNetNS {
			return types.NewError(types.ErrInvalidEnvironmentVariables,
				fmt.Sprintf("CNI_NETNS %s: network namespace does not exist: %v; the runtime has removed the "+
					"sandbox or passed a wrong path", args.Netns, err), "")
		}
		return nil
	}
	defer func() { _ = pod.Close() }()
	own, err := netns.Get()
	if err != nil {
		return types.NewError(types.ErrIOFailure, fmt.Sprintf("open the plugin's own network namespace: %v", err), "")
	}
	defer func() { _ = own.Close() }()
	if pod.Equal(own) && args.NetnsOverride != "1" && !strings.EqualFold(args.NetnsOverride, "true") {
		return types.NewError(types.ErrInvalidEnvironmentVariables,
			fmt.Sprintf("CNI_NETNS %s is the plugin's own network namespace; set CNI_NETNS_OVERRIDE=1 if this is "+
				"intended", args.Netns), "")
	}
	return nil
}
