// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// Status is the state of the plugins' kubeconfig. Expires is nil if the token does not contain its expiry. The token is
// not shown.
type Status struct {
	Path    string         `json:"path"`
	State   hostfile.State `json:"state"`
	Expires *time.Time     `json:"tokenExpires,omitempty"`
}

// Status compares the kubeconfig on the host with the desired one. It returns a sentence for each problem.
func (a *Account) Status() (s Status, problems []string) {
	s = Status{Path: a.Path, State: hostfile.Missing}
	data, err := safeopen.ReadRegular(a.Path)
	switch {
	case errors.Is(err, safeopen.ErrNotRegular):
		s.State = hostfile.Differs
		return s, []string{err.Error()}
	case err != nil:
		return s, []string{a.Path + ": missing, or this user cannot read it"}
	}
	token := TokenOf(data)
	s.State = a.compare(data, token)
	ours := bytes.HasPrefix(data, []byte(Head))
	if s.State != hostfile.Equal && (ours || !hostfile.Within(a.Path, hostfile.SecretMode)) {
		problems = append(problems, fmt.Sprintf("%s: %s: %s", a.Path, s.State, hostfile.Describe(a.Path)))
	}
	if token == "" {
		problems = append(problems, fmt.Sprintf("%s: has no token", a.Path))
	}
	_, expires, ok := validity(token)
	if !ok {
		return s, problems
	}
	s.Expires = &expires
	if !a.Now().Before(expires) {
		problems = append(problems, fmt.Sprintf("%s: token expired at %s", a.Path, expires.UTC().Format(time.RFC3339)))
	}
	return s, problems
}

// compare compares a kubeconfig with the desired one with the same token. Outside of a pod the desired one is unknown:
// a kubeconfig that install wrote then counts as equal.
func (a *Account) compare(data []byte, token string) hostfile.State {
	same := bytes.HasPrefix(data, []byte(Head))
	if ca, err := a.Server.CertificateAuthority(); err == nil && a.Server.Host != "" {
		want, err := a.Server.Kubeconfig(ca, token)
		same = err == nil && bytes.Equal(data, want)
	}
	if same && hostfile.HasMode(a.Path, hostfile.SecretMode) {
		return hostfile.Equal
	}
	return hostfile.Differs
}
