// SPDX-License-Identifier: Apache-2.0

// Package lifetime lets a process undo its changes when a signal ends it.
package lifetime

import (
	"context"
	"os/signal"
	"sync"
	"syscall"
)

// Context returns a context for the whole process and a function that makes signals cancel it. After the first call of
// onSignal, SIGINT and SIGTERM cancel the context. Before that, they end the process immediately. onSignal may be
// called more than once. Waiting for signals takes a thread, which a command without changes to undo, such as a
// repeated DEL, does not need.
func Context() (ctx context.Context, onSignal func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, sync.OnceFunc(func() {
		notified, _ := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		context.AfterFunc(notified, cancel)
	})
}
