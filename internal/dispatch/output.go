// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// print writes a result in the version of the configuration.
func (i *invocation) print(r types.Result) *types.Error {
	converted, err := convert(r, i.cniVersion)
	if err != nil {
		return types.NewError(types.ErrInternal, fmt.Sprintf("convert result to version %s: %v", i.cniVersion, err), "")
	}
	if err := converted.PrintTo(i.p.Stdout); err != nil {
		return types.NewError(types.ErrIOFailure, fmt.Sprintf("write result: %v", err), "")
	}
	return nil
}

// convert converts a result to a version. The library's own conversion keeps fields of 1.1.0 in results of older
// versions: those of interfaces in 1.0.0, those of routes in 0.3.0 to 1.0.0.
func convert(r types.Result, cniVersion string) (types.Result, error) {
	if r == nil {
		return nil, errors.New("the plugin returned no result")
	}
	if cniVersion == current.ImplementedSpecVersion {
		return r.GetAsVersion(cniVersion)
	}
	full, err := current.GetResult(r)
	if err != nil {
		return nil, err
	}
	old := &current.Result{CNIVersion: full.CNIVersion, IPs: full.IPs, DNS: full.DNS}
	for _, n := range full.Interfaces {
		old.Interfaces = append(old.Interfaces, &current.Interface{Name: n.Name, Mac: n.Mac, Sandbox: n.Sandbox})
	}
	for _, route := range full.Routes {
		old.Routes = append(old.Routes, &types.Route{Dst: route.Dst, GW: route.GW})
	}
	return old.GetAsVersion(cniVersion)
}

// version answers VERSION in the version of the input. The input is optional.
func (i *invocation) version() *types.Error {
	asked := struct {
		CNIVersion string `json:"cniVersion"`
	}{}
	if !interactive(i.p.Stdin) {
		data, err := io.ReadAll(i.p.Stdin)
		if err == nil && json.Unmarshal(data, &asked) == nil && asked.CNIVersion != "" {
			i.cniVersion = asked.CNIVersion
		}
	}
	err := json.NewEncoder(i.p.Stdout).Encode(struct {
		CNIVersion        string   `json:"cniVersion"`
		SupportedVersions []string `json:"supportedVersions"`
	}{i.cniVersion, Versions()})
	if err != nil {
		return types.NewError(types.ErrIOFailure, fmt.Sprintf("write version: %v", err), "")
	}
	return nil
}

// interactive reports whether r is a terminal, from which a read would block.
func interactive(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// fail prints an error. If standard output cannot be written, it prints both errors to standard error.
func (i *invocation) fail(e *types.Error) {
	err := json.NewEncoder(i.p.Stdout).Encode(struct {
		CNIVersion string `json:"cniVersion"`
		Code       uint   `json:"code"`
		Msg        string `json:"msg"`
		Details    string `json:"details,omitempty"`
	}{i.cniVersion, e.Code, strings.ReplaceAll(e.Msg, "\n", "; "), e.Details})
	if err != nil {
		_, _ = fmt.Fprintf(i.p.Stderr, "write error to standard output: %v; the error was: %v\n", err, e)
	}
}
