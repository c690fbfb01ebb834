// SPDX-License-Identifier: Apache-2.0

// Package lifetime has a process end in order when it is asked to: what it has begun is undone first.
package lifetime

import (
	"context"
	"os/signal"
	"sync"
	"syscall"
)

// Context returns a context for the whole process, and what makes it end with a signal. From the first call of onSignal on,
// SIGINT and SIGTERM cancel the context; before that they end the process, as SIGKILL does. onSignal may be called any number
// of times. To wait for signals takes a thread, which a command that has nothing to undo, such as a repeated DEL, can spare.
func Context() (ctx context.Context, onSignal func()) {
	ctx, cancel := context.WithCancel(context.Background())
	return ctx, sync.OnceFunc(func() {
		notified, _ := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
		context.AfterFunc(notified, cancel)
	})
}
