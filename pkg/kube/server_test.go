// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listen starts a server with TLS and HTTP/2 that requests client certificates, like an API server.
func listen(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(api(handler))
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(t.Output(), nil), slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// api adds a default response if the handler writes nothing: one that is both an object and a version.
func api(handler http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w}
		handler(answer, r)
		if !answer.begun {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, anything)
		}
	})
}

const anything = `{"apiVersion":"v1","gitVersion":"v1.36.0"}`

// answer records whether something was written.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(code int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(data)
}

// contents is the spec of the test objects.
type contents struct {
	A int `json:"a"`
}

// metadataOnly is the media type of requests for metadata.
const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

// fail responds with a Status of the API.
func fail(w http.ResponseWriter, code int, reason, details string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, statusBody(reason, details))
}

func statusBody(reason, details string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"the `+
		`message","reason":%q,"details":{%s}}`, reason, details)
}

// trusting returns the cluster fields of a kubeconfig for a server of listen.
func trusting(s *httptest.Server) string {
	return fmt.Sprintf("server: '%s', certificate-authority-data: %s", s.URL,
		base64.StdEncoding.EncodeToString(caOf(s)))
}

func caOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// loaded returns a client with the given fields of its cluster and user. A user without fields has a token.
func loaded(t *testing.T, cluster, user string) *Client {
	t.Helper()
	if user == "" {
		user = "token: t"
	}
	c, err := Load(write(t, kubeconfig(cluster, user)), "calico-cni/test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// certificate creates a client certificate and its key, in PEM.
func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour).Truncate(time.Second),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE",
		Bytes: der,
	}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// put writes a file and returns its path.
func put(t *testing.T, dir, name string, data []byte, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// says fails the test unless the error contains all texts, and not the secret.
func says(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not contain %q", err, text)
		}
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("%q contains the secret", err)
	}
}

// quiet fails the test if the error contains one of the texts.
func quiet(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(err.Error(), text) {
			t.Errorf("%q contains %q", err, text)
		}
	}
}
