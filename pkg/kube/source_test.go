// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// TestCheckKubeconfigAgreesWithLoad compares the check before a kubeconfig is written with the function that reads it.
func TestCheckKubeconfigAgreesWithLoad(t *testing.T) {
	for _, text := range []string{
		kubeconfig("server: 'https://10.96.0.1:443'", "token: 'T'"),
		kubeconfig("server: 'https://[fd00::1]:443'", "token: 'T'"),
		kubeconfig("server: 'https://[10.96.0.1]:443'", "token: 'T'"),
		kubeconfig("server: 'https://h', certificate-authority: missing.pem", "token: 'T'"),
		kubeconfig("server: 'https://h', certificate-authority-data: bm9uZQ==", "token: 'T'"),
		kubeconfig("server: 'https://h'", "token: 'T', username: 'u'"),
		kubeconfig("server: ':'", "token: 'T'"),
		"", "- list", "kind: Pod",
	} {
		path := write(t, text)
		c, loadErr := Load(path, "test")
		if loadErr == nil {
			c.Close()
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		checkErr := CheckKubeconfig(data, path)
		if (loadErr == nil) != (checkErr == nil) || errors.Is(loadErr, fs.ErrNotExist) != errors.Is(checkErr,
			fs.ErrNotExist) {
			t.Errorf("%s\nLoad: %v\nCheckKubeconfig: %v", text, loadErr, checkErr)
		}
		if checkErr != nil && !errors.Is(checkErr, ErrKubeconfig) {
			t.Errorf("%v does not wrap ErrKubeconfig", checkErr)
		}
	}
}
