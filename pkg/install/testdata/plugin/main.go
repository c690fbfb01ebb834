// SPDX-License-Identifier: Apache-2.0

// Command plugin is what the tests install: it answers VERSION as the linker told it to, or waits until it is killed.
package main

import (
	"fmt"
	"os"
	"time"
)

// versions is set by the linker: the list of CNI versions in JSON. Empty makes the plugin fail.
var versions string

func main() {
	if len(os.Args) > 1 && os.Args[1] == "wait" {
		fmt.Println("waiting")
		time.Sleep(time.Hour)
	}
	if os.Getenv("CNI_COMMAND") != "VERSION" || versions == "" {
		fmt.Fprintln(os.Stderr, "segment 7 is missing")
		os.Exit(1)
	}
	fmt.Printf(`{"cniVersion": "1.0.0", "supportedVersions": %s}`, versions)
}
