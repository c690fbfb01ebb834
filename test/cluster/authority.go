// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// authority is the CA of the API server.
type authority struct {
	url string // of the API server
	dir string // of ca.crt and ca.key
}

// certificate returns the certificate of the CA, in PEM.
func (a authority) certificate() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(a.dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	return data, nil
}

// kubeconfig returns a kubeconfig with a client certificate for the user.
func (a authority) kubeconfig(user string, groups ...string) (string, error) {
	ca, err := a.certificate()
	if err != nil {
		return "", err
	}
	cert, key, err := a.issue(ca, pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return "", fmt.Errorf("issue certificate of %s: %w", user, err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: a.url, CertificateAuthorityData: ca}
	config.AuthInfos["test"] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	data, err := clientcmd.Write(*config)
	return string(data), err
}

// issue returns a new client certificate and its key, in PEM.
func (a authority) issue(ca []byte, subject pkix.Name) (cert, key []byte, err error) {
	signer, err := os.ReadFile(filepath.Join(a.dir, "ca.key"))
	if err != nil {
		return nil, nil, err
	}
	certBlock, _ := pem.Decode(ca)
	keyBlock, _ := pem.Decode(signer)
	if certBlock == nil || keyBlock == nil {
		return nil, nil, errors.New("no PEM in ca.crt or ca.key")
	}
	issuer, err := x509.ParseCertificate(certBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	issuerKey, err := x509.ParseECPrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, &own.PublicKey, issuerKey)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		return nil, nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), nil
}
