// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

type clusterEntry = clientcmdapi.Cluster

// kubeconfigOf writes a copy of a kubeconfig with a change to its cluster, and with the secret as its token.
func kubeconfigOf(t *testing.T, path string, change func(*clusterEntry)) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	must(t, err)
	current := config.Contexts[config.CurrentContext]
	if change != nil {
		change(config.Clusters[current.Cluster])
	}
	config.AuthInfos[current.AuthInfo] = &clientcmdapi.AuthInfo{Token: secret}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(*config, file))
	return file
}

func itoa(n int) string { return strconv.Itoa(n) }
