// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/klog/v2"

	"calico-cni/test/kube/internal/pki"
)

// writeKubeconfig writes the administrator's kubeconfig atomically. It contains the credentials instead of their paths.
func writeKubeconfig(file, url string, f pki.Files) error {
	const name = "kubed"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: url, CertificateAuthority: f.CA}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificate: f.AdminCert, ClientKey: f.AdminKey}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmdapi.FlattenConfig(config); err != nil {
		return fmt.Errorf("read credentials of administrator: %w", err)
	}
	temporary := file + ".new"
	if err := clientcmd.WriteToFile(*config, temporary); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	if err := os.Rename(temporary, file); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// announceReady polls the server at url as its administrator until it is ready, and then prints "ready URL".
func announceReady(ctx context.Context, kubeconfig, url string) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		klog.ErrorS(err, "read own kubeconfig", "file", kubeconfig)
		return
	}
	config.NegotiatedSerializer = scheme.Codecs
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		klog.ErrorS(err, "create own client")
		return
	}
	for {
		if err := client.Get().AbsPath("/readyz").Do(ctx).Error(); err == nil {
			fmt.Println("ready", url)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
