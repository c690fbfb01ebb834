// SPDX-License-Identifier: Apache-2.0

package kubeclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bench has everything that the sample kubeconfigs refer to: a server with TLS, one without, a proxy, and files.
type bench struct {
	https, http, proxy *httptest.Server
	words              map[string]string
	files              map[string]string

	mu  sync.Mutex
	log []string
	// answer replaces the successful response of the servers unless it is nil.
	answer http.HandlerFunc
}

func newBench(t *testing.T) *bench {
	t.Helper()
	t.Setenv("KUBERNETES_SERVICE_HOST", "") // client-go falls back to the credentials of the pod
	b := &bench{}
	b.https = silent(http.HandlerFunc(b.serve))
	b.https.EnableHTTP2 = true
	b.https.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	b.https.StartTLS()
	b.http = silent(http.HandlerFunc(b.serve))
	b.http.Start()
	b.proxy = silent(http.HandlerFunc(b.tunnel))
	b.proxy.Start()
	t.Cleanup(func() {
		b.proxy.CloseClientConnections()
		for _, s := range []*httptest.Server{b.https, b.http, b.proxy} {
			s.Close()
		}
	})
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.https.Certificate().Raw})
	cert, key := keyPair(t, "someone")
	_, otherKey := keyPair(t, "other")
	plugCert, plugKey := keyPair(t, "plugin")
	address := strings.TrimPrefix(b.https.URL, "https://")
	_, port, err := net.SplitHostPort(address)
	do(t, err)
	b64 := base64.StdEncoding.EncodeToString
	lines := b64(ca)
	lines = lines[:60] + `\n` + lines[60:120] + `\n` + lines[120:] + `\n`
	b.words = map[string]string{
		"$SERVER": b.https.URL, "$REST": strings.TrimPrefix(b.https.URL, "https:"), "$ADDRESS": address, "$PORT": port,
		"$HTTP": b.http.URL, "$PLAIN": strings.TrimPrefix(b.http.URL, "http://"),
		"$PROXY": strings.TrimPrefix(b.proxy.URL, "http://"),
		"$CA":    b64(ca), "$CERT": b64(cert), "$KEY": b64(key), "$OTHERKEY": b64(otherKey), "$LINES": lines,
	}
	b.files = map[string]string{
		"ca.crt": string(ca), "pki/tls.crt": string(cert), "pki/tls.key": string(key), "empty": "", "blank": " \n",
		"token": "from-file", "token-line": "from-file\n", "token-lines": "one\ntwo\n",
		"plugin": pluginScript, "bin/plugin-in-path": pluginScript,
	}
	for name, status := range map[string]map[string]any{
		"certificate": {"clientCertificateData": string(plugCert), "clientKeyData": string(plugKey)},
		"both": {
			"clientCertificateData": string(plugCert), "clientKeyData": string(plugKey),
			"token": "with-certificate",
		},
		"half":    {"clientCertificateData": string(plugCert)},
		"number":  {"token": 5},
		"unknown": {"token": "t", "new": 1},
	} {
		printed, err := json.Marshal(map[string]any{
			"apiVersion": "client.authentication.k8s.io/v1",
			"kind":       "ExecCredential", "status": status,
		})
		do(t, err)
		b.files["prints/"+name] = string(printed)
	}
	b.files["prints/text"] = "no credential\n"
	b.files["prints/no-status"] = `{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}`
	return b
}

// pluginScript is a credential plugin. Its arguments are the version and the token to print, or the name of a file in
// prints. It records each run and its input.
const pluginScript = `#!/bin/sh
token=$2
[ "$2" != env ] || token=$TOKEN
[ "$2" != home ] || token=$HOME
cd "$BENCH" || exit 1
echo run >>runs
echo "$KUBERNETES_EXEC_INFO" >>told
echo "$2" >&2
case $2 in count | expired) token=run-$(grep -c run runs) ;; esac
more=
[ "$2" != expired ] || more=', "expirationTimestamp": "2020-01-01T00:00:00Z"'
if [ -n "$2" ] && [ -f "prints/$2" ]; then
	cat "prints/$2"
else
	printf '{"apiVersion": "client.authentication.k8s.io/%s", "kind": "ExecCredential", "status": {"token": "%s"%s}}' "$1" "$token" "$more"
fi
`

// silent starts a server that does not log failed handshakes.
func silent(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	return s
}

// write writes a kubeconfig and the files beside it, and returns its path.
func (b *bench) write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range b.files {
		path := filepath.Join(dir, name)
		do(t, os.MkdirAll(filepath.Dir(path), 0o700))
		do(t, os.WriteFile(path, []byte(content), 0o600))
		if strings.Contains(name, "plugin") {
			do(t, os.Chmod(path, 0o700))
		}
	}
	// Longer words first, because $CE is a prefix of $CERT.
	words := slices.SortedFunc(maps.Keys(b.words), func(x, y string) int { return len(y) - len(x) })
	text = strings.ReplaceAll(text, "$DIR", dir)
	for _, word := range words {
		text = strings.ReplaceAll(text, word, b.words[word])
	}
	path := filepath.Join(dir, "kubeconfig")
	do(t, os.WriteFile(path, []byte(encoded(text)), 0o600))
	return path
}

// reset discards the recorded requests and tells the credential plugin its directory.
func (b *bench) reset(t *testing.T, dir string) {
	t.Helper()
	t.Setenv("BENCH", dir)
	t.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	for _, name := range []string{"runs", "told"} {
		do(t, os.RemoveAll(filepath.Join(dir, name)))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = nil
}

// received returns the requests that the servers and the proxy received, one per line, and the input of the credential
// plugin.
func (b *bench) received(t *testing.T, dir string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	lines := slices.Clone(b.log)
	told, err := os.ReadFile(filepath.Join(dir, "told"))
	if err == nil {
		lines = append(lines, "told "+canonical(t, told))
	}
	return strings.Join(lines, "\n")
}

// canonical sorts the keys of JSON and omits a null config of a cluster.
func canonical(t *testing.T, data []byte) string {
	t.Helper()
	var object map[string]any
	do(t, json.Unmarshal(data, &object))
	spec, _ := object["spec"].(map[string]any)
	if cluster, _ := spec["cluster"].(map[string]any); cluster["config"] == nil {
		delete(cluster, "config")
	}
	out, err := json.Marshal(object)
	do(t, err)
	return string(out)
}

func (b *bench) note(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.log = append(b.log, line)
}

// serve responds to a version request like the API server, and records the request and its credentials.
func (b *bench) serve(w http.ResponseWriter, r *http.Request) {
	b.note(effective(r))
	b.mu.Lock()
	answer := b.answer
	b.mu.Unlock()
	if answer != nil {
		answer(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"major":"1","minor":"36","gitVersion":"v1.36.0"}`)
}

// effective describes a request: who requests what from whom.
func effective(r *http.Request) string {
	fields := []string{r.Method, r.URL.EscapedPath()}
	if r.TLS != nil {
		fields = append(fields, "TLS to "+r.TLS.ServerName)
		for _, c := range r.TLS.PeerCertificates {
			fields = append(fields, "certificate "+c.Subject.CommonName)
		}
	}
	var headers []string
	for name, values := range r.Header {
		if name == "Authorization" || name == "Accept-Encoding" || name == "User-Agent" ||
			strings.HasPrefix(name, "Impersonate-") {
			headers = append(headers, fmt.Sprintf("%s: %q", name, values))
		}
	}
	slices.Sort(headers)
	return strings.Join(append(fields, headers...), ", ")
}

// tunnel handles CONNECT for a proxy that connects every name to one server.
func (b *bench) tunnel(w http.ResponseWriter, r *http.Request) {
	b.note("proxy: " + r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization"))
	to, err := net.DialTimeout("tcp", b.words["$ADDRESS"], 5*time.Second)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	from, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = to.Close()
		return
	}
	if _, err := io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		_, _ = from.Close(), to.Close()
		return
	}
	done := func(dst, src net.Conn) {
		_, _ = io.Copy(dst, src)
		_, _ = dst.Close(), src.Close()
	}
	go done(to, from)
	go done(from, to)
}

// keyPair creates a client certificate and its key, in PEM.
func keyPair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	do(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	do(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	do(t, err)
	return pem.EncodeToMemory(&pem.Block{
		Type:  "CERTIFICATE",
		Bytes: der,
	}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}
