// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"calico-cni/internal/buildinfo"
	"calico-cni/pkg/install/binaries"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/network"
)

// Status is what is installed on a node.
type Status struct {
	// Version is of this installer, InstalledVersion of the one that wrote last. The latter is empty if nothing is
	// installed.
	Version          string             `json:"version"`
	InstalledVersion string             `json:"installedVersion"`
	Binaries         []binaries.Status  `json:"binaries"`
	Kubeconfig       credentials.Status `json:"kubeconfig"`
	Network          network.Status     `json:"networkConfiguration"`
	// Problems has a sentence for each difference from the desired state.
	Problems []string `json:"problems"`
}

// printStatus prints what is installed. An error wraps fault.ErrDiffers if something differs from the desired state.
func printStatus(n *node) error {
	s, err := survey(n)
	if err != nil {
		return fmt.Errorf("inspect the installation: %w%s", err, fault.Remedy(err))
	}
	if n.cfg.Output == "json" {
		e := json.NewEncoder(n.deps.Out)
		e.SetIndent("", "  ")
		err = e.Encode(s)
	} else {
		err = s.print(n.deps.Out)
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if len(s.Problems) > 0 {
		return fmt.Errorf("%w: %s", fault.ErrDiffers, strings.Join(s.Problems, "; "))
	}
	return nil
}

func survey(n *node) (*Status, error) {
	if err := n.load(); err != nil {
		return nil, err
	}
	// The API server is not asked for the group, so that status also works without credentials.
	n.useInstalledGroup()
	// Without a readable kubeconfig there is no token. The status of the kubeconfig reports this.
	_ = n.account.ReadToken()
	s := &Status{Version: buildinfo.Version, InstalledVersion: n.record.InstalledVersion(), Problems: []string{}}
	var found []string
	var err error
	if s.Binaries, found, err = n.binaries.Status(); err != nil {
		return nil, err
	}
	s.Problems = append(s.Problems, found...)
	s.Kubeconfig, found = n.account.Status()
	s.Problems = append(s.Problems, found...)
	if s.Network, found, err = n.list.Status(); err != nil {
		return nil, err
	}
	s.Problems = append(s.Problems, found...)
	return s, nil
}

func (s *Status) print(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "version %s, installed by %s\n", s.Version, cmp.Or(s.InstalledVersion, "no recorded version"))
	for _, b := range s.Binaries {
		fmt.Fprintf(&text, "%-8s %s %.12s\n", b.State, b.Path, b.SHA256)
	}
	expires := ""
	if s.Kubeconfig.Expires != nil {
		expires = ", token expires " + s.Kubeconfig.Expires.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(&text, "%-8s %s%s\n", s.Kubeconfig.State, s.Kubeconfig.Path, expires)
	fmt.Fprintf(&text, "%-8s %s, runtimes use %s\n", s.Network.State, s.Network.Path, cmp.Or(s.Network.Active, "none"))
	for _, name := range s.Network.Aside {
		fmt.Fprintf(&text, "aside    %s\n", name)
	}
	for _, problem := range s.Problems {
		fmt.Fprintf(&text, "problem  %s\n", problem)
	}
	_, err := io.WriteString(out, text.String())
	return err
}
