package install

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// repairAfter and repairAtMost space the repairs of what somebody keeps undoing.
	repairAfter, repairAtMost = 10 * time.Second, 5 * time.Minute
	// retryAfter and retryAtMost space attempts that fail.
	retryAfter, retryAtMost = 2 * time.Second, 30 * time.Second
	// probeEvery is how often at least the API server is asked whether it accepts the plugins' token; each node takes a period of its
	// own between half of that and all. A plugin that is refused reports it, so that this only finds a token which no plugin uses.
	probeEvery = 10 * time.Minute
)

// watcher keeps a node as it was installed.
type watcher struct {
	*installer
	parts   []*part
	health  *health
	metrics *metrics
	// settling spaces attempts to settle releases that wait.
	settling throttle
	// installed is set by the first installation that succeeds, which start spaces and failed is why there is none yet.
	installed bool
	start     throttle
	failed    error
	probed    time.Time
	// probeEvery is this node's period, refusals are those that plugins had met when the API server was last asked.
	probeEvery time.Duration
	refusals   string
	others     verdict
	// unrenewed says that the last renewal that was due failed.
	unrenewed bool
	// said is what was last logged of the state, and notes what is logged once.
	said  string
	notes map[string]bool
}

// watch installs, and keeps it so until ctx ends. It gives up only for what trying again cannot cure.
func (i *installer) watch(ctx context.Context) error {
	w := newWatcher(i)
	stop, err := w.serve(ctx)
	if err != nil {
		return errors.Join(err, i.install(ctx))
	}
	defer stop()
	for {
		err := w.round(ctx)
		if err != nil && !w.installed && ExitCode(err) == ExitConfig {
			return err
		}
		if ctx.Err() != nil {
			return w.leave(ctx)
		}
		w.tell(err)
		w.settle(ctx)
		select {
		case <-ctx.Done():
			return w.leave(ctx)
		case <-i.deps.Wake:
		}
	}
}

func newWatcher(i *installer) *watcher {
	w := &watcher{
		installer: i, health: newHealth(i.deps.Now), notes: map[string]bool{},
		start: throttle{first: retryAfter, most: retryAtMost}, settling: throttle{first: settleAfter, most: settleAtMost, random: rand.Float64},
		probeEvery: probeEvery/2 + rand.N(probeEvery/2),
	}
	rival := func() throttle { return throttle{first: repairAfter, most: repairAtMost} }
	w.parts = []*part{
		{name: "binaries", look: w.lookBinaries, mend: i.binaries, throttle: rival()},
		{name: "node files", look: w.lookNodeFiles, mend: i.nodeFiles, throttle: rival()},
		{name: "token", look: w.lookToken, mend: w.mendToken, throttle: throttle{first: repairAfter, most: time.Minute}, routine: true, bearable: w.tokenLasts},
		{name: "kubeconfig", look: w.lookKubeconfig, mend: i.kubeconfig, throttle: rival()},
		{name: "network configuration", look: w.lookNetwork, mend: i.conflist, throttle: rival(), needsAll: true},
		{name: "old network configuration", look: w.lookOld, mend: i.removeOld, throttle: rival(), needsAll: true},
		{name: "other network configurations", look: w.lookRivals, mend: i.exclude, throttle: rival(), needsAll: true},
	}
	w.metrics = newMetrics(func() bool { return w.health.state() == nil }, w.parts)
	i.renewed = w.metrics.token
	return w
}

// round installs, as long as that was never done, and else looks at every part and mends it. An error says what is not
// as it should be now.
func (w *watcher) round(ctx context.Context) error {
	if !w.installed {
		return w.first(ctx)
	}
	var faults []error
	// Without a configuration to write, the rest is kept all the same: pods that run need plugins and a good token to be removed.
	if err := w.prepare(ctx); err != nil {
		faults = append(faults, fmt.Errorf("prepare: %w%s", err, cure(err)))
	}
	w.sweep(w.cfg.netDir())
	for _, p := range w.parts {
		if p.needsAll && len(faults) > 0 {
			continue
		}
		if err := w.keep(ctx, p); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w%s", p.name, err, cure(err)))
		}
	}
	if err := w.save(); err != nil {
		faults = append(faults, fmt.Errorf("write record: %w%s", err, cure(err)))
	}
	return errors.Join(faults...)
}

func (w *watcher) first(ctx context.Context) error {
	now := w.deps.Now()
	if w.start.wait(now) > 0 {
		return w.failed
	}
	w.start.used(now)
	w.failed = w.install(ctx)
	w.installed = w.failed == nil
	w.settled = w.installed
	return w.failed
}

// part is one thing to keep as it is.
type part struct {
	name string
	// look returns what is not as it should be, a line each.
	look func(context.Context) ([]string, error)
	mend func(context.Context) error
	// needsAll is set for what makes or lets the runtime call what is before it.
	needsAll bool
	// routine is set for what has to be mended now and then though nobody did anything.
	routine bool
	// bearable says that what is found does no harm until the next attempt to mend it; nil for never.
	bearable func() bool

	throttle throttle
	failed   error
}

// keep mends a part that is not as it should be, unless that was done a short while ago.
func (w *watcher) keep(ctx context.Context, p *part) error {
	faults, err := p.look(ctx)
	if err != nil || len(faults) == 0 {
		p.failed = nil
		return err
	}
	now := w.deps.Now()
	if wait := p.throttle.wait(now); wait > 0 {
		if p.failed != nil || p.bearable != nil && p.bearable() {
			return p.failed
		}
		return fmt.Errorf("%w: %s; next repair at %s: find what else writes there, and stop it",
			ErrContested, strings.Join(faults, "; "), now.Add(wait).UTC().Format(time.RFC3339))
	}
	p.throttle.used(now)
	if !p.routine {
		w.metrics.repair(p.name)
	}
	level := slog.LevelWarn
	if p.routine {
		level = slog.LevelInfo
	}
	w.deps.Log.Log(ctx, level, "repair", "part", p.name, "found", strings.Join(faults, "; "))
	p.failed = p.mend(ctx)
	return p.failed
}

// tell passes the state on, and logs it when it is another than before.
func (w *watcher) tell(err error) {
	w.health.set(err)
	said := "ready"
	if err != nil {
		said = err.Error()
	}
	switch {
	case said == w.said:
		return
	case err != nil:
		w.deps.Log.Error("not ready", "error", err)
	default:
		w.deps.Log.Info("ready; watching", "renews", w.credential.renew.UTC().Format(time.RFC3339))
	}
	w.said = said
}

// maxNotes bounds what is remembered as said.
const maxNotes = 64

// note logs something that is no fault, once until it changes.
func (w *watcher) note(text string) {
	if w.notes[text] {
		return
	}
	if len(w.notes) == maxNotes {
		clear(w.notes)
	}
	w.notes[text] = true
	w.deps.Log.Warn(text)
}

func (w *watcher) leave(ctx context.Context) error {
	if w.cfg.CleanupOnExit {
		return w.uninstall(context.WithoutCancel(ctx))
	}
	w.deps.Log.Info("stopped; what is installed stays, and works until its token expires")
	return nil
}

// serve answers for the state at the health address, until stop is called.
func (w *watcher) serve(ctx context.Context) (stop func(), err error) {
	if w.cfg.HealthAddr == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.cfg.HealthAddr)
	if err != nil {
		return nil, fmt.Errorf("serve readiness: %w; set HEALTH_ADDR to an address that is free on this node", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", w.health)
	mux.Handle("GET /metrics", w.metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	w.deps.Log.Info("readiness and metrics are served", "address", listener.Addr().String())
	return func() { _ = server.Close() }, nil
}
