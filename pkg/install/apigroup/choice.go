// SPDX-License-Identifier: Apache-2.0

package apigroup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"calico-cni/pkg/install/config"
)

// minPause is the time to the first retry while the plugins report that the datastore is unavailable. It doubles up to
// Choice.Interval, so that an outage of the API server does not make all nodes ask again and again.
const minPause = 10 * time.Second

// ErrForbidden: the installer may not list the API groups, or read the state of a migration.
var ErrForbidden = errors.New("not permitted")

// migrationShare is the part of Choice.Interval after which Refresh asks again during a migration. A node that changes
// its group late may allocate addresses in the old one.
const migrationShare = 20

// Server asks an API server. An error says that it is unknown what is served.
type Server interface {
	Served(ctx context.Context) (Served, error)
}

// Choice is the group of a node. The zero value of its unexported fields is a choice that was not made yet.
type Choice struct {
	// Configured is the configured group. If it is set, the API server is not asked.
	Configured string
	Server     Server
	// Interval is the maximum time between two requests of Refresh.
	Interval time.Duration
	// Troubled reports whether the plugins report that the datastore is unavailable. This may be because the group has
	// changed.
	Troubled func() bool
	Now      func() time.Time
	Log      *slog.Logger

	found string
	// asked is the time of the last request, pause the time to the next one in trouble.
	asked       time.Time
	pause       time.Duration
	wasTroubled bool
	// migrating says that a migration was running at the last request.
	migrating bool
	// logged is the last warning.
	logged string
}

// Group returns the group that was configured or found, and crd.projectcalico.org/v1 before.
func (c *Choice) Group() string { return cmp.Or(c.Configured, c.found, config.CRDGroup) }

// Use sets the group to use until the API server has been asked, such as that of an earlier installation. An empty
// group changes nothing.
func (c *Choice) Use(group string) { c.found = cmp.Or(group, c.found) }

// Find asks the API server for the group, unless it is configured. If the installer may not ask, the group stays as it
// is.
func (c *Choice) Find(ctx context.Context) error {
	if c.Configured != "" {
		return nil
	}
	c.asked = c.Now().Round(0)
	served, err := c.Server.Served(ctx)
	if errors.Is(err, ErrForbidden) {
		c.warn(fmt.Sprintf("using %s: %v, or set CALICO_API_GROUP", c.Group(), err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w, or set CALICO_API_GROUP", err)
	}
	c.migrating = served.Migrating
	if !served.V1 && !served.V3 {
		c.warn("the API server serves neither " + config.CRDGroup + " nor " + config.V3Group +
			"; apply the CustomResourceDefinitions of one of them")
	}
	now := served.Choose()
	if c.found != "" && c.found != now {
		c.Log.Info("the API group of Calico's objects has changed", "group", now, "before", c.found)
	}
	c.found = now
	return nil
}

// Refresh asks the API server again: once per interval, and earlier if the plugins report trouble or a migration runs.
// If the API server does not answer, the choice stays as it is.
func (c *Choice) Refresh(ctx context.Context) {
	if c.Configured != "" || !c.due() {
		return
	}
	if err := c.Find(ctx); err != nil {
		c.warn("the API group of Calico's objects stays " + c.Group() + ": " + err.Error())
	}
}

// warn logs a warning unless it is the last one.
func (c *Choice) warn(text string) {
	if text != c.logged {
		c.logged = text
		c.Log.Warn(text)
	}
}

// due reports whether Refresh asks, and determines the pause after this request.
func (c *Choice) due() bool {
	troubled := c.Troubled()
	if troubled && !c.wasTroubled {
		c.pause = min(minPause, c.Interval)
	}
	c.wasTroubled = troubled
	wait := c.Interval
	if troubled {
		wait = c.pause
	}
	if c.migrating {
		wait = min(wait, c.Interval/migrationShare)
	}
	if since := c.Now().Round(0).Sub(c.asked); since >= 0 && since < wait {
		return false
	}
	c.pause = min(2*c.pause, c.Interval)
	return true
}
