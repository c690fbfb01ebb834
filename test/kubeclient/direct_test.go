// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"os"
	"path/filepath"
	"testing"

	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
)

func TestDirectByTokenOrCertificate(t *testing.T) {
	s := cluster(t)
	config := s.Config()
	dir := t.TempDir()
	paths := map[string]string{}
	for name, data := range map[string][]byte{
		"ca.crt": config.CAData, "tls.crt": config.CertData,
		"tls.key": config.KeyData,
	} {
		paths[name] = filepath.Join(dir, name)
		do(t, os.WriteFile(paths[name], data, 0o600))
	}
	do(t, s.Admin().CreateNamespace(t.Context(), "direct"))
	token, err := s.Accounts().Token(t.Context(), "direct", "default")
	do(t, err)
	for name, c := range map[string]struct {
		direct kube.Direct
		// refused is the expected error of a request for a namespace, nil if it is permitted.
		refused error
	}{
		"certificate": {kube.Direct{
			Server: s.URL(), CA: paths["ca.crt"], Certificate: paths["tls.crt"],
			Key: paths["tls.key"],
		}, nil},
		"token without the right": {
			kube.Direct{Server: s.URL(), CA: paths["ca.crt"], Token: token},
			kubeapi.ErrForbidden,
		},
		"invalid token": {kube.Direct{Server: s.URL(), CA: paths["ca.crt"], Token: "hunter2"}, kubeapi.ErrUnauthorized},
		"no CA":         {kube.Direct{Server: s.URL(), Token: token}, kubeapi.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			client, err := c.direct.Client(userAgent)
			do(t, err)
			_, err = kubeapi.Namespace(t.Context(), client, "default")
			if c.refused == nil {
				do(t, err)
				return
			}
			wantError(t, name, err, c.refused)
		})
	}
	_, err = kube.Direct{Server: s.URL(), Token: token, CA: filepath.Join(dir, "nowhere")}.Client(userAgent)
	wantError(t, "a CA file that is not there", err, kube.ErrKubeconfig, "certificate-authority",
		"the CNI configuration")
	wantError(t, "a CA file that is not there", err, os.ErrNotExist)
}
