// SPDX-License-Identifier: Apache-2.0

// Command kubed contains all of Kubernetes in one binary: `kubed COMMAND ARGS`, or COMMAND ARGS through a link with the
// name of the command:
//
//	etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl
//
// One binary has a third of the size of seven and is linked once. With the build tag serveronly it contains only the
// first two, which takes less time to build. An additional command runs etcd and kube-apiserver in a single process
// with a generated PKI:
//
//	kubed server --dir DIR [--address ADDR] [--port PORT] [-- KUBE-APISERVER-FLAGS]
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	name, args := filepath.Base(os.Args[0]), os.Args
	if _, ok := commands[name]; !ok && len(os.Args) > 1 {
		name, args = os.Args[1], os.Args[1:]
	}
	run, ok := commands[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "kubed: unknown command %q: use one of %s\n", name, strings.Join(names(), ", "))
		os.Exit(2)
	}
	// The commands read os.Args, some of them before they parse their flags.
	os.Args = args
	os.Exit(run())
}

// names returns the names of all commands, sorted.
func names() []string {
	all := make([]string, 0, len(commands))
	for name := range commands {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
