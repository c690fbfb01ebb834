// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"calico-cni/internal/safeopen"
)

// maxFile limits the size of a kubeconfig and of each file that it names, in bytes.
const maxFile = 4 << 20

// readFile returns the content of a regular file, which must not be empty. It does not block on a FIFO. Its error
// contains no path.
func readFile(path string) ([]byte, error) {
	f, err := safeopen.Regular(path)
	if err != nil {
		return nil, cause(err)
	}
	defer func() { _ = f.Close() }() // read-only
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, cause(err)
	case len(data) > maxFile:
		return nil, errTooBig
	case len(bytes.TrimSpace(data)) == 0:
		return nil, errBlankFile
	}
	return data, nil
}

// material returns the content of a kubeconfig field, from its data or its file, or nothing if both are empty. The
// error names the field and the path of the file. If the file does not exist, it names only the directory, because the
// file name may be a secret in the wrong field.
func material(field string, data []byte, path string) ([]byte, error) {
	if path == "" {
		return data, nil
	}
	data, err := readFile(path)
	if err == nil {
		return data, nil
	}
	if _, missing := os.Lstat(path); missing == nil {
		return nil, fmt.Errorf("%s %s: %w", field, path, err)
	}
	if dir := filepath.Dir(path); isDir(dir) {
		return nil, fmt.Errorf("%s: %w in %s", field, err, dir)
	}
	return nil, fmt.Errorf("%s: %w", field, err)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// cause returns why a file cannot be read, without the path.
func cause(err error) error {
	var denied *fs.PathError
	var special *safeopen.NotRegularError
	switch {
	case errors.As(err, &denied):
		return denied.Err
	case errors.As(err, &special):
		return kubeconfigError("is " + special.Kind + ", want a regular file")
	}
	return err
}

// authority returns the CA certificates of a cluster in PEM, nil if there are none.
func (c cluster) authority() ([]byte, error) {
	data, err := material("certificate-authority", c.CA, c.CAFile)
	if err != nil {
		return nil, err
	}
	if len(data) > 0 && !x509.NewCertPool().AppendCertsFromPEM(data) {
		return nil, errCertificates
	}
	return data, nil
}

// pair reads the client certificate and its key.
func (u user) pair() (tls.Certificate, error) {
	certificate, err := material("client-certificate", u.Certificate, u.CertificateFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := material("client-key", u.Key, u.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return keyPair(certificate, key)
}

// keyPair parses a certificate and its key. The error says which of them is invalid if that can be determined.
func keyPair(certificate, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	switch {
	case err == nil:
		return pair, nil
	case !hasPEM(certificate, func(kind string) bool { return kind == "CERTIFICATE" }):
		return tls.Certificate{}, errCertificatePEM
	case !hasPEM(key, func(kind string) bool {
		return kind == "PRIVATE KEY" || strings.HasSuffix(kind, " PRIVATE KEY") && kind != "ENCRYPTED PRIVATE KEY"
	}):
		return tls.Certificate{}, errKeyPEM
	}
	return tls.Certificate{}, errPair
}

// hasPEM reports whether data contains a PEM block of a certain type.
func hasPEM(data []byte, is func(kind string) bool) bool {
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return false
		}
		if is(b.Type) {
			return true
		}
	}
}
