// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"
)

// decodeKubeconfig reads YAML or JSON. A file without kind and apiVersion counts as a kubeconfig.
func decodeKubeconfig(data []byte) (kubeconfigFile, error) {
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return kubeconfigFile{}, syntaxFault(data, err)
	}
	file := kubeconfigFile{APIVersion: "v1", Kind: "Config"}
	var mistyped *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &file); {
	case errors.As(err, &mistyped) && mistyped.Field != "":
		// The fields of impersonation are fields of the user.
		return kubeconfigFile{}, fmt.Errorf("%w: see %s", errFields,
			strings.Replace(mistyped.Field, "impersonation.", "", 1))
	case errors.As(err, new(base64.CorruptInputError)):
		return kubeconfigFile{}, errBase64
	case err != nil:
		return kubeconfigFile{}, errFields
	case file.APIVersion != "v1" || file.Kind != "Config":
		return kubeconfigFile{}, errKind
	}
	return file, nil
}

// syntaxFault describes a YAML syntax error. The parser's own message would quote the text.
func syntaxFault(data []byte, err error) error {
	var line int
	if n, _ := fmt.Sscanf(err.Error(), "yaml: line %d:", &line); n != 1 {
		return errSyntax
	}
	if lines := bytes.Split(data, []byte("\n")); line <= len(lines) {
		text := lines[max(line-1, 0)]
		if indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]; bytes.ContainsRune(indent, '\t') {
			return fmt.Errorf("%w: see line %d", errTab, line)
		}
	}
	return fmt.Errorf("%w: see line %d", errSyntax, line)
}
