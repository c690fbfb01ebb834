// SPDX-License-Identifier: Apache-2.0

// Package lifetime makes a process undo what it has begun before a signal ends it.
package lifetime

import (
	"context"
	"os/signal"
	"sync"
	"syscall"
)

// Context returns a context for the whole process, and a function that makes a signal cancel it. After the first call of
// onSignal, SIGINT and SIGTERM cancel the context. Before it they end the process, like SIGKILL. onSignal may be called
// more than once. Waiting for signals takes a thread; a command that has nothing to undo, such as a repeated DEL, saves it.
func Context() (ctx context.Context, onSignal func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, sync.OnceFunc(func() {
		notified, _ := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		context.AfterFunc(notified, cancel)
	})
}
