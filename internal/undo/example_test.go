// SPDX-License-Identifier: Apache-2.0

package undo_test

import (
	"context"
	"errors"
	"fmt"

	"calico-cni/internal/undo"
)

// A function pushes the undo of each step after the step. If a later step fails, the undo steps run in reverse order.
func ExampleStack_OnError() {
	attach := func(ctx context.Context) (err error) {
		var steps undo.Stack
		defer func() { steps.OnError(ctx, &err) }()

		fmt.Println("create interface")
		steps.Push(func(context.Context) error { fmt.Println("delete interface"); return nil })

		fmt.Println("add route")
		steps.Push(func(context.Context) error { fmt.Println("delete route"); return nil })

		return errors.New("configure address: permission denied")
	}
	fmt.Println(attach(context.Background()))
	// Output:
	// create interface
	// add route
	// delete route
	// delete interface
	// configure address: permission denied
}
