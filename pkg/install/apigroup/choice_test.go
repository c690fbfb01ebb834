// SPDX-License-Identifier: Apache-2.0

package apigroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/install/config"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name   string
		served Served
		want   string
	}{
		{"neither", Served{}, config.CRDGroup},
		{"v1", Served{V1: true}, config.CRDGroup},
		{"v3", Served{V3: true}, config.V3Group},
		{"both: v3 is Calico's API server", Served{V1: true, V3: true}, config.CRDGroup},
		{"both, after the migration", Served{V1: true, V3: true, Migrated: true}, config.V3Group},
		{"v1, after a migration was rolled back", Served{V1: true, Migrated: true}, config.CRDGroup},
	} {
		if got := c.served.Choose(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// fake is an API server.
type fake struct {
	served Served
	err    error
	asked  int
}

func (f *fake) Served(context.Context) (Served, error) {
	f.asked++
	return f.served, f.err
}

// bed is a choice with its environment.
type bed struct {
	Choice
	fake     fake
	now      time.Time
	troubled bool
	log      bytes.Buffer
}

func newBed() *bed {
	b := &bed{now: time.Unix(1, 0), fake: fake{served: Served{V3: true}}}
	b.Choice = Choice{
		Server: &b.fake, Interval: 5 * time.Minute, Troubled: func() bool { return b.troubled },
		Now: func() time.Time { return b.now }, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	return b
}

func TestConfiguredGroupIsNotDiscovered(t *testing.T) {
	b := newBed()
	b.Configured = config.CRDGroup
	b.Use(config.V3Group)
	if err := b.Find(t.Context()); err != nil || b.Group() != config.CRDGroup || b.fake.asked != 0 {
		t.Errorf("Find = %v, group %s, asked %d times", err, b.Group(), b.fake.asked)
	}
	b.troubled = true
	b.Refresh(t.Context())
	if b.fake.asked != 0 {
		t.Error("Refresh asks for a configured group")
	}
}

func TestFailedDiscoveryKeepsTheGroup(t *testing.T) {
	for _, c := range []struct {
		err   error
		fails bool
	}{{errors.New("unreachable"), true}, {fmt.Errorf("%w: see RBAC", ErrForbidden), false}} {
		b := newBed()
		b.Use(config.V3Group)
		b.fake.err = c.err
		if err := b.Find(t.Context()); (err != nil) != c.fails || b.Group() != config.V3Group {
			t.Errorf("%v: Find = %v, group %s", c.err, err, b.Group())
		}
		b.now = b.now.Add(b.Interval)
		b.Refresh(t.Context())
		if b.Group() != config.V3Group || strings.Count(b.log.String(), c.err.Error()) != 1 {
			t.Errorf("%v: group %s; want the error once in the log:\n%s", c.err, b.Group(), &b.log)
		}
	}
}

// TestRefreshAsksOncePerInterval wakes the choice every five seconds for an hour.
func TestRefreshAsksOncePerInterval(t *testing.T) {
	b := newBed()
	if err := b.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 720 {
		b.now = b.now.Add(5 * time.Second)
		b.Refresh(t.Context())
	}
	if b.fake.asked != 1+12 {
		t.Errorf("asked %d times in an hour, want 13", b.fake.asked)
	}
}

// TestRefreshBacksOffWhileTroubled wakes the choice every five seconds. The trouble ends and begins again.
func TestRefreshBacksOffWhileTroubled(t *testing.T) {
	b := newBed()
	if err := b.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := func(steps int) (at []int) {
		for i := range steps {
			before := b.fake.asked
			b.now = b.now.Add(5 * time.Second)
			b.Refresh(t.Context())
			if b.fake.asked > before {
				at = append(at, 5*(i+1))
			}
		}
		return at
	}
	b.troubled = true
	if got, want := asked(120), []int{10, 30, 70, 150, 310}; !slices.Equal(got, want) {
		t.Errorf("asked %v s after the trouble began, want %v", got, want)
	}
	b.troubled = false
	if got := asked(30); len(got) > 1 {
		t.Errorf("asked %v s after the trouble", got)
	}
	b.troubled = true
	if got, want := asked(3), []int{5}; !slices.Equal(got, want) {
		t.Errorf("asked %v s after it began again, want %v", got, want)
	}
}

func TestRefreshNoticesMigration(t *testing.T) {
	b := newBed()
	b.fake.served = Served{V1: true, V3: true}
	if err := b.Find(t.Context()); err != nil || b.Group() != config.CRDGroup {
		t.Fatalf("Find = %v, group %s", err, b.Group())
	}
	b.fake.served.Migrated, b.troubled = true, true
	b.now = b.now.Add(minPause)
	b.Refresh(t.Context())
	if b.Group() != config.V3Group {
		t.Errorf("group %s after the migration", b.Group())
	}
	if !strings.Contains(b.log.String(), "group=projectcalico.org/v3 before=crd.projectcalico.org/v1") {
		t.Errorf("log:\n%s", &b.log)
	}
}

// TestRefreshAsksOftenDuringMigration wakes the choice every five seconds for five minutes.
func TestRefreshAsksOftenDuringMigration(t *testing.T) {
	b := newBed()
	b.fake.served = Served{V1: true, V3: true, Migrating: true}
	if err := b.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 60 {
		b.now = b.now.Add(5 * time.Second)
		b.Refresh(t.Context())
	}
	if b.fake.asked != 1+20 {
		t.Errorf("asked %d times, want 21", b.fake.asked)
	}
}

func TestUnservedGroupsAreReported(t *testing.T) {
	b := newBed()
	b.fake.served = Served{}
	if err := b.Find(t.Context()); err != nil || b.Group() != config.CRDGroup {
		t.Errorf("Find = %v, group %s", err, b.Group())
	}
	if !strings.Contains(b.log.String(), "apply the CustomResourceDefinitions") {
		t.Errorf("log: %s", &b.log)
	}
}
