// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/install/hostfile"
)

// Monitor finds out when to renew the plugins' token and when to write their kubeconfig again.
type Monitor struct {
	Account *Account
	// Interval is the minimum time between two requests that check a token, unless a plugin reports a refusal.
	Interval time.Duration
	// Refusals identifies the refusals that plugins have reported. It is empty if there are none, and changes with each
	// refusal.
	Refusals func() string
	// Note reports a condition that is no fault.
	Note func(text string)

	checked time.Time
	// checkedRefusals are the refusals at the last check of the token.
	checkedRefusals string
	foreign         verdict
	// overdue is set if the last planned renewal failed.
	overdue bool
}

// verdict is the API server's last answer to a kubeconfig that install did not write.
type verdict struct {
	of       hostfile.Stamp
	at       time.Time
	refusals string
	accepted bool
}

// FindToken returns why the token must be renewed, nothing if it need not be. It checks the clock each time. It sends a
// request to the API server only once per interval, after the clock was set back, and after a plugin reported a
// refusal.
func (m *Monitor) FindToken(ctx context.Context) ([]string, error) {
	now := m.Account.Now().Round(0)
	if m.Account.current.due(now) {
		return []string{"token is due for renewal"}, nil
	}
	refusals := m.Refusals()
	refused := refusals != "" && refusals != m.checkedRefusals
	if since := now.Sub(m.checked); since >= 0 && since < m.Interval && !refused {
		return nil, nil
	}
	m.checkedRefusals = refusals
	if err := m.Account.Issuer.Accepted(ctx, m.Account.Path); errors.Is(err, ErrRefused) {
		return []string{"the API server refuses the token of " + m.Account.Path}, nil
	}
	m.checked = now
	return nil, nil
}

// RenewToken renews the token and writes the kubeconfig. A failure is no error while more than half of the lifetime
// of an accepted token is left.
func (m *Monitor) RenewToken(ctx context.Context) error {
	refused := !m.Account.current.due(m.Account.Now())
	err := m.Account.renew(ctx)
	m.overdue = err != nil && !refused
	if err == nil {
		m.checked = time.Time{}
		return m.Account.Install(ctx)
	}
	if !m.TokenLasts() {
		return err
	}
	m.Account.Log.Warn("token is not renewed; the old one is valid for hours", "error", err)
	return nil
}

// TokenLasts reports whether a renewal failed while more than half of the token's lifetime is left.
func (m *Monitor) TokenLasts() bool { return m.overdue && m.Account.current.good(m.Account.Now()) }

// FindKubeconfig returns how the kubeconfig differs from the desired one. It ignores one of another program, such as
// Calico's node agent, as long as it works.
func (m *Monitor) FindKubeconfig(ctx context.Context) ([]string, error) {
	a := m.Account
	data, err := a.Render(a.current.value)
	if err != nil {
		return nil, err
	}
	same, err := atomicfile.Holds(a.Path, bytes.NewReader(data), hostfile.SecretMode)
	if err != nil || same {
		return nil, err
	}
	if m.foreignWorks(ctx) {
		m.Note("another program, such as Calico's node agent, wrote the kubeconfig, and it works: it stays as it is")
		return nil, nil
	}
	return []string{hostfile.Difference(a.Path)}, nil
}

// foreignWorks reports whether another program wrote the kubeconfig, only its owner can read it, and the API server
// accepts it. It sends requests as rarely as FindToken. While the API server is unavailable, a kubeconfig that was
// accepted before counts as working.
func (m *Monitor) foreignWorks(ctx context.Context) bool {
	path := m.Account.Path
	of, now := hostfile.StampOf(path), m.Account.Now().Round(0)
	if !hostfile.Within(path, hostfile.SecretMode) {
		return false
	}
	data, err := safeopen.ReadRegular(path)
	if err != nil || strings.HasPrefix(string(data), Head) {
		return false
	}
	accepted := m.foreign.accepted && m.foreign.of == of
	refusals := m.Refusals()
	refused := refusals != "" && refusals != m.foreign.refusals
	if since := now.Sub(m.foreign.at); accepted && since >= 0 && since < m.Interval && !refused {
		return true
	}
	err = m.Account.Issuer.Accepted(ctx, path)
	m.foreign = verdict{of, now, refusals, err == nil || accepted && !errors.Is(err, ErrRefused)}
	return m.foreign.accepted
}

// maxCheckInterval bounds the interval between checks. A plugin reports when its token is refused. These checks find a
// refused token that no plugin has used.
const maxCheckInterval = 10 * time.Minute

// CheckInterval returns the interval between checks of a node, from half of the maximum to all of it. spread is in
// [0, 1).
func CheckInterval(spread float64) time.Duration {
	return maxCheckInterval/2 + time.Duration(spread*float64(maxCheckInterval/2))
}
