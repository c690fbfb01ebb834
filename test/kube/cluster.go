// SPDX-License-Identifier: Apache-2.0

//go:build !serveronly

package main

import (
	"context"
	"maps"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics of the controllers
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	kubeproxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// init adds the commands of a cluster other than its API server and etcd.
func init() {
	maps.Copy(commands, map[string]func() int{
		"kube-controller-manager": component(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          component(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet": component(
			func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		),
		"kube-proxy": component(kubeproxy.NewProxyCommand),
		"kubectl":    runKubectl,
	})
}

func runKubectl() int {
	// The verbosity must be set before the command is created, and therefore before its flags are parsed.
	logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}
