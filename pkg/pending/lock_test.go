// SPDX-License-Identifier: Apache-2.0

package pending

import (
	"context"
	"errors"
	"testing"
	"time"

	"calico-cni/internal/hostlock"
)

// waiters settle the release of container b, as a DEL and an ADD of b do.
var waiters = map[string]func(context.Context, Queue, *recorder) error{
	"SettleOne": func(ctx context.Context, q Queue, s *recorder) error {
		return settlerOf(q).SettleOne(ctx, releaseOf("b").Key(), s.settle)
	},
	"SettleContainer": func(ctx context.Context, q Queue, s *recorder) error {
		return settlerOf(q).SettleContainer(ctx, "net", "b", s.settle)
	},
}

// TestSettleOneRunsBesideBatch settles the release of b while Settle carries out another.
func TestSettleOneRunsBesideBatch(t *testing.T) {
	for name, settleB := range waiters {
		q := newQueue(t)
		add(t, q, releaseOf("a"), releaseOf("b"), releaseOf("c"))
		var batch, command recorder
		done, err := settlerOf(q).Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
			if r.ContainerID == "a" {
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				if err := settleB(ctx, q, &command); err != nil {
					t.Errorf("%s during the batch: %v", name, err)
				}
			}
			return batch.settle(ctx, r)
		})
		if done != 2 || err != nil {
			t.Errorf("%s: Settle = %d, %v; want 2", name, done, err)
		}
		check(t, name+": the batch", batch.String(), "a c")
		check(t, name+": the command", command.String(), "b")
		checkLen(t, q, 0)
	}
}

// TestBatchSkipsReleaseInProgress runs Settle while another command settles the first release.
func TestBatchSkipsReleaseInProgress(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"), releaseOf("b"))
	var batch recorder
	err := settlerOf(q).SettleOne(t.Context(), releaseOf("a").Key(), func(ctx context.Context, _ Release) error {
		if done, err := settlerOf(q).Settle(ctx, 9, nil, batch.settle); done != 1 || err != nil {
			t.Errorf("Settle = %d, %v; want 1", done, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	check(t, "the batch", batch.String(), "b")
	checkLen(t, q, 0)
}

// TestReplacedReleaseStaysLocked replaces a release while Settle carries it out. A command that settles the new one
// must wait, because requests of Settle may still take effect.
func TestReplacedReleaseStaysLocked(t *testing.T) {
	for name, settleB := range waiters {
		q := newQueue(t)
		add(t, q, releaseOf("b"))
		var batch, command recorder
		later := make(chan error, 1)
		_, err := settlerOf(q).Settle(t.Context(), 9, nil, func(ctx context.Context, r Release) error {
			newer := releaseOf("b")
			newer.Queued = noon
			if err := q.Add(newer); err != nil {
				t.Error(err)
			}
			ended, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			if err := settleB(ended, q, &command); !errors.Is(err, hostlock.ErrBusy) {
				t.Errorf("%s during the batch: %v, want ErrBusy", name, err)
			}
			check(t, name+": the command during the batch", command.String(), "")
			go func() { later <- settleB(context.WithoutCancel(ctx), q, &command) }()
			return batch.settle(ctx, r)
		})
		if err := errors.Join(err, <-later); err != nil {
			t.Error(err)
		}
		check(t, name+": the batch", batch.String(), "b")
		check(t, name+": the command", command.String(), "b")
		checkLen(t, q, 0)
	}
}

// TestBatchSkipsReplacedRelease replaces a release after Settle has read it.
func TestBatchSkipsReplacedRelease(t *testing.T) {
	q := newQueue(t)
	add(t, q, releaseOf("a"))
	var batch recorder
	done, err := settlerOf(q).Settle(t.Context(), 9, func(r Release) bool {
		r.Queued = noon
		if err := q.Add(r); err != nil {
			t.Error(err)
		}
		return true
	}, batch.settle)
	if done != 0 || err != nil {
		t.Errorf("Settle = %d, %v; want 0", done, err)
	}
	check(t, "the batch", batch.String(), "")
	checkLen(t, q, 1)
}
