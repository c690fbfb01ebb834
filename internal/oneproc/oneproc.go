// SPDX-License-Identifier: Apache-2.0

// Package oneproc limits a process to one thread that runs Go code at a time. A command mostly waits, for the kernel
// and the API server: more threads cost more than they bring.
//
// A main package imports it for its effect. It imports only the runtime, so that it is initialised before nearly all
// other packages, and the runtime starts fewer threads for them. Do not set it in main: by then several threads run,
// and stopping them costs more than it saves.
package oneproc

import "runtime"

var _ = runtime.GOMAXPROCS(1)
