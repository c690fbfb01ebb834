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

// commands maps a command's name to what runs it on os.Args and returns its exit code. The build tag serveronly leaves out all
// but these.
var commands = map[string]func() int{
	"etcd":           runEtcd,
	"kube-apiserver": component(apiserver.NewAPIServerCommand),
	"server":         runServer,
}

// component runs a server command of Kubernetes. The command is made only when it is called for: making one
// registers its flags and feature gates for the whole process.
func component(newCommand func() *cobra.Command) func() int {
	return func() int { return cli.Run(newCommand()) }
}

func runEtcd() int {
	etcdmain.Main(os.Args)
	return 0
}
