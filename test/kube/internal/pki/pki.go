// SPDX-License-Identifier: Apache-2.0

// Package pki makes the certificates and keys of a small Kubernetes API server.
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

// lifetime of every certificate. A directory of test data does not get as old.
const lifetime = 10 * 365 * 24 * time.Hour

// Files names what an API server and its administrator need, all PEM.
type Files struct {
	CA                string // certificate of the authority that signs both of the following
	Cert, Key         string // of the API server
	AdminCert         string // of a member of system:masters
	AdminKey          string
	ServiceAccountKey string // signs and verifies the tokens of service accounts
}

// Ensure makes dir complete for a server that is reached at addrs and names.
//
// The authority and the key of service accounts are kept when they are there, so whoever trusted the server
// before goes on to trust it, and older tokens stay valid. The certificates of server and administrator are
// made anew, because the addresses may have changed.
func Ensure(dir string, addrs []netip.Addr, names []string, now time.Time) (Files, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	f := Files{
		CA:   file("ca.crt"),
		Cert: file("apiserver.crt"), Key: file("apiserver.key"),
		AdminCert: file("admin.crt"), AdminKey: file("admin.key"),
		ServiceAccountKey: file("sa.key"),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f, fmt.Errorf("make PKI directory: %w", err)
	}
	ca, err := ensureAuthority(f.CA, file("ca.key"), now)
	if err != nil {
		return f, err
	}
	if _, err := ensureKey(f.ServiceAccountKey); err != nil {
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

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// ensureAuthority reads the authority, or makes it. The key is written first: a certificate without its key
// cannot come to be.
func ensureAuthority(certFile, keyFile string, now time.Time) (authority, error) {
	key, err := ensureKey(keyFile)
	if err != nil {
		return authority{}, err
	}
	der, err := readPEM(certFile, certificateBlock)
	if os.IsNotExist(err) {
		return newAuthority(certFile, key, now)
	}
	if err != nil {
		return authority{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return authority{}, fmt.Errorf("parse %s: %w: remove it to start afresh", certFile, err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return authority{}, fmt.Errorf("%s does not belong to %s: remove both to start afresh", certFile, keyFile)
	}
	return authority{cert, key}, nil
}

// newAuthority writes a self-signed authority to certFile.
func newAuthority(certFile string, key *ecdsa.PrivateKey, now time.Time) (authority, error) {
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

// issue writes a new key and a certificate for it.
func (a authority) issue(template *x509.Certificate, certFile, keyFile string, now time.Time) error {
	key, err := newKey(keyFile)
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

// sign returns the certificate of key by issuer in DER. Its validity begins a little before now, for clients
// whose clock is behind.
func sign(template *x509.Certificate, issuer authority, key *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	template.NotBefore, template.NotAfter = now.Add(-time.Minute), now.Add(lifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, &key.PublicKey, issuer.key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate of %s: %w", template.Subject, err)
	}
	return der, nil
}

// ensureKey reads a key, or makes it.
func ensureKey(file string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(file, keyBlock)
	if os.IsNotExist(err) {
		return newKey(file)
	}
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w: remove it to start afresh", file, err)
	}
	return key, nil
}

// newKey writes a new P-256 key: made in microseconds, where RSA takes a noticeable part of a start.
func newKey(file string) (*ecdsa.PrivateKey, error) {
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
