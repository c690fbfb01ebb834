// SPDX-License-Identifier: Apache-2.0

// Command kubed is all of Kubernetes in one binary: `kubed COMMAND ARGS`, or COMMAND ARGS through a link of
// that name, where COMMAND is one of
//
//	etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl
//
// One binary is a third of the size of seven, and links once. With the build tag serveronly it has only the first two, which
// are quicker to build. Beside them stands
//
//	kubed server --dir DIR [--address ADDR] [--port PORT] [-- KUBE-APISERVER-FLAGS]
//
// which is etcd and kube-apiserver in a single process, with a generated PKI: see server.go.
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
		fmt.Fprintf(os.Stderr, "kubed: no command %q: use one of %s\n", name, strings.Join(names(), ", "))
		os.Exit(2)
	}
	// Every command below reads os.Args itself, some of them before their flags are parsed.
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
