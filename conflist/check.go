// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/utils"
	"github.com/containernetworking/cni/pkg/version"

	"calico-cni/internal/jsonfault"
)

// Load loads a configuration as a runtime does, depending on the extension of the file: a single plugin becomes a list
// of one. An error wraps ErrInvalid, and may quote the configuration.
//
// Source: CNI specification 1.1.0, section 1; containerd's go-cni and CRI-O's ocicni read *.conflist as a list,
// *.conf and *.json as one plugin.
func Load(filename string, data []byte) (*libcni.NetworkConfigList, error) {
	if err := checkJSON(data); err != nil {
		return nil, err
	}
	list, err := decode(filename, data)
	if err != nil {
		return nil, err
	}
	return list, checkHead(list.Name, list.CNIVersion)
}

func decode(filename string, data []byte) (*libcni.NetworkConfigList, error) {
	switch filepath.Ext(filename) {
	case ".conflist":
		l, err := libcni.NetworkConfFromBytes(data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", ErrInvalid, refusal(data, err))
		}
		if len(l.Plugins) == 0 {
			return nil, fmt.Errorf("%w: a %s file wants a list of plugins under %q", ErrInvalid, ".conflist", "plugins")
		}
		return l, nil
	case ".conf", ".json":
		p, err := libcni.NetworkPluginConfFromBytes(data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s; for a list of plugins use a name that ends in .conflist", ErrInvalid,
				pluginRefusal(err))
		}
		return &libcni.NetworkConfigList{
			Name: p.Network.Name, CNIVersion: p.Network.CNIVersion, Plugins: []*libcni.PluginConfig{p}, Bytes: data,
		}, nil
	}
	return nil, fmt.Errorf("%w: no runtime reads a file named %q; want .conflist, or .conf for a single plugin",
		ErrInvalid, filename)
}

// refusal returns why the CNI library does not load a list. The errors of the library name Go types.
func refusal(data []byte, err error) string {
	var head map[string]any
	if json.Unmarshal(data, &head) != nil {
		return "it has a number that is out of range; correct it"
	}
	if fault := headFault(head); fault != "" {
		return fault
	}
	plugins, _ := head["plugins"].([]any)
	for n, plugin := range plugins {
		p, isObject := plugin.(map[string]any)
		kind, hasType := p["type"].(string)
		switch {
		case !isObject:
			return fmt.Sprintf("plugin %d of the list: want an object", n+1)
		case !hasType || kind == "":
			return fmt.Sprintf("plugin %d of the list has no type; set it to the name of the plugin's binary", n+1)
		}
	}
	return pluginRefusal(err)
}

// pluginRefusal returns why the CNI library does not load a plugin that is a JSON object.
func pluginRefusal(err error) string {
	var field *json.UnmarshalTypeError
	if errors.As(err, &field) {
		return fmt.Sprintf("%s: want another type of value, as in the CNI specification", field.Field)
	}
	return "type: want the name of the plugin's binary"
}

// headFault returns which field of a list, other than its plugins, has a value that the CNI library does not load.
func headFault(head map[string]any) string {
	for _, field := range []string{"name", "cniVersion"} {
		value, present := head[field]
		if _, isText := value.(string); present && !isText {
			return field + ": want a string"
		}
	}
	if _, present := head["name"]; !present {
		return "name: want the name of the network"
	}
	if value, present := head["cniVersions"]; present && !areVersions(value) {
		return fmt.Sprintf("cniVersions: want a list of versions of the CNI specification such as %q", CNIVersion)
	}
	for _, field := range []string{"disableCheck", "disableGC", "loadOnlyInlinedPlugins"} {
		if value, present := head[field]; present && !isFlag(value) {
			return field + ": want true or false"
		}
	}
	if plugins, isList := head["plugins"].([]any); !isList || len(plugins) == 0 {
		return "plugins: want a list of plugins"
	}
	return ""
}

func areVersions(value any) bool {
	versions, isList := value.([]any)
	return isList && !slices.ContainsFunc(versions, func(v any) bool {
		text, isText := v.(string)
		_, _, _, err := version.ParseVersion(text)
		return !isText || err != nil
	})
}

// isFlag reports whether the CNI library reads a value as a boolean.
func isFlag(value any) bool {
	text, isText := value.(string)
	_, isBool := value.(bool)
	return isBool || isText && (strings.EqualFold(text, "true") || strings.EqualFold(text, "false"))
}

func checkHead(name, cniVersion string) error {
	if err := utils.ValidateNetworkName(name); err != nil {
		return fmt.Errorf("%w: name %q: want a letter or digit, then letters, digits and any of _.-", ErrInvalid, name)
	}
	if _, _, _, err := version.ParseVersion(cniVersion); cniVersion != "" && err != nil {
		return fmt.Errorf("%w: cniVersion %q: want a version of the CNI specification such as %q", ErrInvalid, cniVersion,
			CNIVersion)
	}
	return nil
}

// checkJSON returns an error unless the text is one JSON object.
func checkJSON(data []byte) error {
	if fault := jsonfault.Explain(data); fault != "" {
		return fmt.Errorf("%w: %s", ErrInvalid, fault)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return fmt.Errorf("%w: want one JSON object", ErrInvalid)
	}
	return nil
}

// Plugins returns the plugins of a list, or the single plugin, as they are written in data. An error wraps ErrInvalid.
func Plugins(data []byte) ([]json.RawMessage, error) {
	var list struct {
		Type    string            `json:"type"`
		Plugins []json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%w: want one JSON object", ErrInvalid)
	}
	if list.Type != "" && list.Plugins == nil {
		return []json.RawMessage{data}, nil
	}
	return list.Plugins, nil
}
