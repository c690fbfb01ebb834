// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"calico-cni/internal/atomicfile"
	"calico-cni/pkg/install/hostfile"
)

// Monitor finds out when the plugins' token must be renewed or their kubeconfig be written again.
type Monitor struct {
	Account *Account
	// Interval is the least time between two requests that check a token, unless a plugin reports a refusal.
	Interval time.Duration
	// Refusals identifies the refusals that plugins have reported. It is empty if there are none, and changes with each.
	Refusals func() string
	// Note reports something that is no fault.
	Note func(text string)

	checked time.Time
	// refusals are those that were known when the token was last checked.
	refusals string
	foreign  verdict
	// overdue is set if the last planned renewal failed.
	overdue bool
}

// verdict is the API server's last answer about a kubeconfig that install did not write.
type verdict struct {
	of       hostfile.Stamp
	at       time.Time
	refusals string
	accepted bool
}

// FindToken returns why the token must be renewed, nothing if it need not. It checks the clock each time and asks
// the API server rarely: once per interval, when the clock was set back, and when a plugin reports a refusal.
func (m *Monitor) FindToken(ctx context.Context) ([]string, error) {
	now := m.Account.Now().Round(0)
	if m.Account.token.due(now) {
		return []string{"token is due to be renewed"}, nil
	}
	refusals := m.Refusals()
	refused := refusals != "" && refusals != m.refusals
	if since := now.Sub(m.checked); since >= 0 && since < m.Interval && !refused {
		return nil, nil
	}
	m.refusals = refusals
	if err := m.Account.Issuer.Accepted(ctx, m.Account.Path); errors.Is(err, ErrRefused) {
		return []string{"the API server refuses the token of " + m.Account.Path}, nil
	}
	m.checked = now
	return nil, nil
}

// RenewToken renews the token and writes the kubeconfig. A failure is no error while more than half of the lifetime
// of an accepted token is left.
func (m *Monitor) RenewToken(ctx context.Context) error {
	refused := !m.Account.token.due(m.Account.Now())
	err := m.Account.renew(ctx)
	m.overdue = err != nil && !refused
	if err == nil {
		m.checked = time.Time{}
		return m.Account.Install(ctx)
	}
	if !m.TokenLasts() {
		return err
	}
	m.Account.Log.Warn("token is not renewed; the old one is good for hours", "error", err)
	return nil
}

// TokenLasts reports whether a renewal failed while more than half of the token's lifetime is left.
func (m *Monitor) TokenLasts() bool { return m.overdue && m.Account.token.good(m.Account.Now()) }

// FindKubeconfig returns how the kubeconfig differs from the desired one. It ignores one of another program, such as
// Calico's node agent, as long as it works.
func (m *Monitor) FindKubeconfig(ctx context.Context) ([]string, error) {
	a := m.Account
	data, err := a.Render(a.token.value)
	if err != nil {
		return nil, err
	}
	same, err := atomicfile.Holds(a.Path, bytes.NewReader(data), hostfile.SecretMode)
	if err != nil || same {
		return nil, err
	}
	if m.foreignWorks(ctx) {
		m.Note("another program, such as Calico's node agent, wrote the kubeconfig, and it works: it is left alone")
		return nil, nil
	}
	return []string{hostfile.Difference(a.Path)}, nil
}

// foreignWorks reports whether another program wrote the kubeconfig, only its owner can read it, and the API server
// accepts it. It asks the API server as rarely as FindToken. While the API server is unavailable, an accepted one
// counts as working.
func (m *Monitor) foreignWorks(ctx context.Context) bool {
	path := m.Account.Path
	of, now := hostfile.StampOf(path), m.Account.Now().Round(0)
	if !hostfile.Within(path, hostfile.SecretMode) {
		return false
	}
	data, err := os.ReadFile(path)
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

// checkInterval is the largest interval between checks. A plugin that is refused reports it, so that these checks
// only find a refused token which no plugin uses.
const checkInterval = 10 * time.Minute

// CheckInterval returns the interval between checks of a node, from half of the largest one to all of it. spread is in
// [0, 1).
func CheckInterval(spread float64) time.Duration {
	return checkInterval/2 + time.Duration(spread*float64(checkInterval/2))
}
