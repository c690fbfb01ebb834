// SPDX-License-Identifier: Apache-2.0

// Package pki creates the certificates and keys of a Kubernetes API server.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// lifetime is the validity of every certificate, longer than any use of a directory.
const lifetime = 10 * 365 * 24 * time.Hour

// Files has the paths of the files for an API server and its administrator, all in PEM.
type Files struct {
	CA                string // certificate of the CA, which signs the following two
	Cert, Key         string // of the API server
	AdminCert         string // of a member of system:masters
	AdminKey          string
	ServiceAccountKey string // signs and verifies the tokens of service accounts
}

// Ensure creates the missing files in dir, for a server with these addresses and names.
//
// It keeps an existing CA and an existing key of service accounts, so that clients still trust the server and tokens
// stay valid. It always creates new certificates of the server and the administrator, because the addresses may have
// changed.
func Ensure(dir string, addrs []netip.Addr, names []string, now time.Time) (Files, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	f := Files{
		CA:   file("ca.crt"),
		Cert: file("apiserver.crt"), Key: file("apiserver.key"),
		AdminCert: file("admin.crt"), AdminKey: file("admin.key"),
		ServiceAccountKey: file("sa.key"),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, fmt.Errorf("create PKI directory: %w", err)
	}
	ca, err := loadOrCreateCA(f.CA, file("ca.key"), now)
	if err != nil {
		return f, err
	}
	if _, err := loadOrCreateKey(f.ServiceAccountKey); err != nil {
		return f, err
	}
	server := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    names,
	}
	for _, addr := range addrs {
		server.IPAddresses = append(server.IPAddresses, net.IP(addr.AsSlice()))
	}
	if err := ca.issue(server, f.Cert, f.Key, now); err != nil {
		return f, err
	}
	admin := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return f, ca.issue(admin, f.AdminCert, f.AdminKey, now)
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// loadOrCreateCA reads the CA, or creates it. It writes the key first, so that a certificate always has its key.
func loadOrCreateCA(certFile, keyFile string, now time.Time) (authority, error) {
	key, err := loadOrCreateKey(keyFile)
	if err != nil {
		return authority{}, err
	}
	der, err := readPEM(certFile, certificateBlock)
	if os.IsNotExist(err) {
		return createCA(certFile, key, now)
	}
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("parse %s: %w: remove it and start again", certFile, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return authority{}, fmt.Errorf("%s does not belong to %s: remove both and start again", certFile, keyFile)
	}
	return authority{cert, key}, nil
}

// createCA creates a self-signed CA.
func createCA(certFile string, key *ecdsa.PrivateKey, now time.Time) (authority, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "kubed"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := sign(template, authority{template, key}, key, now)
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("parse own certificate: %w", err)
	}
	return authority{cert, key}, writePEM(certFile, certificateBlock, der, 0o644)
}

// issue creates a key and its certificate.
func (a authority) issue(template *x509.Certificate, certFile, keyFile string, now time.Time) error {
	key, err := createKey(keyFile)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := sign(template, a, key, now)
	if err != nil {
		return err
	}
	return writePEM(certFile, certificateBlock, der, 0o644)
}

// sign returns the certificate of a key in DER. Its validity begins a minute before now, for clients whose clock is
// behind.
func sign(template *x509.Certificate, issuer authority, key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	template.NotBefore, template.NotAfter = now.Add(-time.Minute), now.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, &key.PublicKey, issuer.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", template.Subject, err)
	}
	return der, nil
}

// loadOrCreateKey reads a key, or creates it.
func loadOrCreateKey(file string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(file, keyBlock)
	if os.IsNotExist(err) {
		return createKey(file)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w: remove it and start again", file, err)
	}
	return key, nil
}

// createKey creates a P-256 key, which takes microseconds. An RSA key would delay the start.
func createKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return key, writePEM(file, keyBlock, der, 0o600)
}
