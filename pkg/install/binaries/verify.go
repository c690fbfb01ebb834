// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"time"

	"calico-cni/conflist"
	"calico-cni/internal/atomicfile"
	"calico-cni/internal/deadline"
	"calico-cni/internal/runfault"
	"calico-cni/pkg/install/hostfile"
)

// versionTimeout bounds a plugin's answer to VERSION, which takes milliseconds.
const versionTimeout = 10 * time.Second

// checks are the checks that a copy of a binary must pass before it replaces the file on the host.
func checks(ctx context.Context, log *slog.Logger, b binary) []atomicfile.Check {
	checks := []atomicfile.Check{b.checkSum}
	if IsPlugin(b.name) {
		checks = append(checks, func(temporary string) error { return checkVersion(ctx, log, b.name, temporary) })
	}
	return checks
}

func (b binary) checkSum(temporary string) error {
	got, err := hostfile.SHA256(temporary)
	if err != nil {
		return err
	}
	if got != b.sum {
		return fmt.Errorf("%w: the copy of %s differs from the original; check whether another program writes there",
			ErrBad, b.path)
	}
	return nil
}

// checkVersion checks that a binary answers VERSION. If the container must not execute files of the host (noexec,
// SELinux), the checksum is sufficient: the runtime on the host may execute them.
//
// Source: CNI specification 1.1.0, section 2, VERSION.
func checkVersion(ctx context.Context, log *slog.Logger, name, path string) error {
	versions, err := askVersions(ctx, path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		log.Warn("binary is verified by its checksum alone: this container may not execute it", "name", name, "error", err)
		return nil
	case err != nil:
		return fmt.Errorf("%w: %s does not answer VERSION: %w; the image is damaged or made for another architecture",
			ErrBad, name, err)
	case !slices.Contains(versions, conflist.CNIVersion):
		return fmt.Errorf("%w: %s supports CNI versions %q, not %s; use an image whose files have the same version",
			ErrBad, name, versions, conflist.CNIVersion)
	}
	return nil
}

func askVersions(ctx context.Context, path string) ([]string, error) {
	ctx, cancel := deadline.Within(ctx, versionTimeout, "the answer to VERSION")
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path)
	cmd.Env = []string{"CNI_COMMAND=VERSION"}
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion":%q}`, conflist.CNIVersion))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if late := deadline.Cause(ctx); late != nil {
			return nil, late
		}
		return nil, fmt.Errorf("%w: %q", runfault.Plain(err), firstLine(stderr.String()))
	}
	var answer struct {
		SupportedVersions []string `json:"supportedVersions"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("its answer does not follow the CNI specification: %q", firstLine(stdout.String()))
	}
	return answer.SupportedVersions, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line[:min(len(line), 200)]
}
