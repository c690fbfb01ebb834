// SPDX-License-Identifier: Apache-2.0

// Package deadline limits the time of an operation by a context. Its errors name the operation that took too long, and
// the limit.
//
// The error of package context, "context deadline exceeded", names neither. All code of this module therefore uses this
// package for time limits and for the cause of a context's end. A test checks this.
package deadline

import (
	"context"
	"fmt"
	"time"
)

// Within returns a context that ends after limit, or with its parent. operation is a noun phrase for messages, such as
// "the release".
func Within(parent context.Context, limit time.Duration, operation string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(parent, limit, &passedError{operation, limit})
}

// Cause returns why a context ended, or nil if it has not ended. The message is for users. The error matches
// context.DeadlineExceeded or context.Canceled like the error of the context.
func Cause(ctx context.Context) error {
	//nolint:errorlint // The causes of this package match these errors as well, but have better messages.
	switch cause := context.Cause(ctx); cause {
	case context.DeadlineExceeded:
		return plainError{"the time limit passed", cause}
	case context.Canceled:
		return plainError{"the operation was stopped", cause}
	default:
		return cause
	}
}

// passedError is the cause of a context whose limit passed.
type passedError struct {
	operation string
	limit     time.Duration
}

func (e *passedError) Error() string {
	return fmt.Sprintf("%s took longer than %s", e.operation, e.limit)
}

// Is reports whether target is context.DeadlineExceeded.
func (e *passedError) Is(target error) bool { return target == context.DeadlineExceeded }

// plainError is an error of package context with another text.
type plainError struct {
	text  string
	cause error
}

func (e plainError) Error() string { return e.text }
func (e plainError) Unwrap() error { return e.cause }
