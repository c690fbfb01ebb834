// SPDX-License-Identifier: Apache-2.0

// Command hello is a minimal Go program, for the lower bound of the start-up time.
package main

func main() { println("hello") }
