// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"         // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/version" // kubernetes_build_info
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// commands maps the name of a command to the function that runs it with os.Args and returns its exit code. With the
// build tag serveronly these are the only commands.
var commands = map[string]func() int{
	"etcd":           runEtcd,
	"kube-apiserver": component(apiserver.NewAPIServerCommand),
	"server":         runServer,
}

// component returns a function that creates and runs a server command of Kubernetes. It does not create the command
// earlier, because that registers flags and feature gates for the whole process.
func component(newCommand func() *cobra.Command) func() int {
	return func() int { return cli.Run(newCommand()) }
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}
