// SPDX-License-Identifier: Apache-2.0

// Package watch maintains an installation: it repairs what other programs change, renews the token, settles queued
// releases, and serves readiness and metrics.
package watch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"calico-cni/pkg/install/fault"
)

// minRetry and maxRetry bound the pause between attempts of the first installation.
const minRetry, maxRetry = 2 * time.Second, 30 * time.Second

// Watcher keeps the installation of one host.
type Watcher struct {
	Options
	health  *health
	metrics *metrics
	settler *settler
	// firstDone is set by the first successful installation. start spaces the attempts, and failed is the error of the
	// last attempt.
	firstDone bool
	start     throttle
	failed    error
	// reported is the state that was last logged.
	reported string
}

// New returns a watcher. It does nothing yet.
func New(o Options) *Watcher {
	w := &Watcher{Options: o, health: newHealth(o.Now), start: throttle{min: minRetry, max: maxRetry}}
	for _, p := range o.Parts {
		p.throttle = p.newThrottle()
	}
	w.metrics = newMetrics(func() bool { return w.health.state() == nil }, o.Parts)
	w.settler = &settler{
		backlog: o.Backlog, throttle: throttle{min: minSettle, max: maxSettle, random: o.Spread},
		metrics: w.metrics, notes: o.Notes, now: o.Now, log: o.Log,
	}
	return w
}

// Run installs, and keeps the installation until ctx ends. It checks all parts whenever wake receives. An error means
// that a retry cannot help, or that the address is in use.
func (w *Watcher) Run(ctx context.Context, wake <-chan struct{}) error {
	stop, err := w.serve(ctx)
	if err != nil {
		return errors.Join(err, w.Host.Install(ctx))
	}
	defer stop()
	for {
		err := w.Round(ctx)
		if err != nil && !w.firstDone && w.Permanent(err) {
			return err
		}
		if ctx.Err() != nil {
			return w.stopped(ctx)
		}
		w.Report(err)
		w.Settle(ctx)
		select {
		case <-ctx.Done():
			return w.stopped(ctx)
		case <-wake:
		}
	}
}

// Round runs the first installation if there is none yet; otherwise it checks and repairs every part. An error names
// how the host differs from the desired state afterwards.
func (w *Watcher) Round(ctx context.Context) error {
	if !w.firstDone {
		return w.first(ctx)
	}
	var faults []error
	// Check and repair the other parts even if the configuration is invalid: the runtime needs the plugins and a token to
	// remove pods.
	if err := w.Host.Prepare(ctx); err != nil {
		faults = append(faults, fmt.Errorf("prepare: %w%s", err, fault.Remedy(err)))
	}
	for _, p := range w.Parts {
		if p.NeedsOthers && len(faults) > 0 {
			continue
		}
		if err := w.keep(ctx, p); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w%s", p.Name, err, fault.Remedy(err)))
		}
	}
	if err := w.Host.Save(); err != nil {
		faults = append(faults, fmt.Errorf("write record: %w%s", err, fault.Remedy(err)))
	}
	return errors.Join(faults...)
}

func (w *Watcher) first(ctx context.Context) error {
	now := w.Now()
	if w.start.wait(now) > 0 {
		return w.failed
	}
	w.start.used(now)
	w.failed = w.Host.Install(ctx)
	w.firstDone = w.failed == nil
	if w.firstDone {
		w.Host.Installed()
	}
	return w.failed
}

// keep repairs a part that differs from the desired state, unless it was repaired shortly before.
func (w *Watcher) keep(ctx context.Context, p *Part) error {
	found, err := p.Find(ctx)
	if err != nil || len(found) == 0 {
		p.failed = nil
		return err
	}
	now := w.Now()
	if wait := p.throttle.wait(now); wait > 0 {
		if p.failed != nil || p.harmless() {
			return p.failed
		}
		return fmt.Errorf("%w: %s; next repair at %s: find the other program that writes there, and stop it",
			ErrContested, strings.Join(found, "; "), now.Add(wait).UTC().Format(time.RFC3339))
	}
	p.throttle.used(now)
	w.Log.Log(ctx, p.level(), "repair", "part", p.Name, "found", strings.Join(found, "; "))
	p.failed = p.Repair(ctx)
	if p.failed == nil && !p.Routine {
		w.metrics.countRepair(p.Name)
	}
	return p.failed
}

// TokenRenewed counts an attempt to renew the token, and stores the expiry of the token.
func (w *Watcher) TokenRenewed(expires time.Time, err error) { w.metrics.setToken(expires, err) }

// Report publishes the result of a round, and logs it if it has changed.
func (w *Watcher) Report(err error) {
	w.health.set(err)
	state := "ready"
	if err != nil {
		state = err.Error()
	}
	switch {
	case state == w.reported:
		return
	case err != nil:
		w.Log.Error("not ready", "error", err)
	default:
		w.Log.Info("ready; watching", "renews", w.RenewsAt().UTC().Format(time.RFC3339))
	}
	w.reported = state
}

// Settle settles queued releases if an attempt is due.
func (w *Watcher) Settle(ctx context.Context) {
	if w.firstDone {
		w.settler.attempt(ctx)
	}
}

func (w *Watcher) stopped(ctx context.Context) error {
	if w.OnStop != nil {
		return w.OnStop(context.WithoutCancel(ctx))
	}
	w.Log.Info("stopped; the installation stays, and works until its token expires")
	return nil
}
