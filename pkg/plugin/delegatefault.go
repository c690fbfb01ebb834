// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"calico-cni/internal/jsonfault"
)

// explained replaces the CNI library's description of a fault by one without terms of Go. There are two faults: the
// plugin fails without an error of the specification, or its result is not JSON.
func explained(out []byte, err error, environ []string) ([]byte, error) {
	var answer *types.Error
	switch {
	case errors.As(err, &answer) && answer.Code == 0:
		return nil, types.NewError(0, plainWords(answer.Msg), "")
	case err != nil:
		return nil, err
	case len(bytes.TrimSpace(out)) == 0 && !slices.Contains(environ, "CNI_COMMAND=ADD"):
		return out, nil
	}
	if fault := jsonfault.Explain(out); fault != "" {
		return nil, types.NewError(0, "its result is unusable: "+fault, "")
	}
	return out, nil
}

// Beginnings of the messages of the CNI library (invoke.RawExec) about a plugin that fails without an error.
const (
	saidNothing = "netplugin failed with no error message: "
	saidNoError = "netplugin failed but error parsing its diagnostic message "
	saidOnlyLog = "netplugin failed: "
)

// plainWords rewrites such a message. It returns other messages unchanged.
func plainWords(msg string) string {
	if end, found := strings.CutPrefix(msg, saidNothing); found {
		return "it fails without a message: " + ending(end)
	}
	if printed, found := strings.CutPrefix(msg, saidNoError); found {
		quoted, _ := strconv.QuotedPrefix(printed)
		return "it fails, and its error is no JSON: " + quoted
	}
	if printed, found := strings.CutPrefix(msg, saidOnlyLog); found {
		quoted, _ := strconv.QuotedPrefix(printed)
		return fmt.Sprintf("it fails with %s: %s", quoted, ending(strings.TrimPrefix(printed[len(quoted):], ": ")))
	}
	return msg
}

// ending rewrites the text of an error of package os/exec.
func ending(text string) string {
	if code, found := strings.CutPrefix(text, "exit status "); found {
		return "it exits with code " + code
	}
	if signal, found := strings.CutPrefix(text, "signal: "); found {
		return "it is killed by the signal " + signal
	}
	if strings.HasPrefix(text, "fork/exec ") {
		return "it cannot be run: " + text[strings.LastIndex(text, ": ")+2:]
	}
	return text
}
