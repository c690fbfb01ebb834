// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"calico-cni/internal/deadline"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
)

// asked makes an ADD that uses a server. cluster is appended to the cluster section of the kubeconfig.
func asked(t *testing.T, server, cluster string) outcome {
	t.Helper()
	return loaded(kubeconfigFor(server, cluster))(t)
}

// answering makes an ADD with a server that uses the handler for every request.
func answering(handler http.HandlerFunc) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		s := httptest.NewServer(handler)
		t.Cleanup(s.Close)
		return asked(t, s.URL, "")
	}
}

// presenting makes an ADD with a server whose certificate or CA has been changed. The kubeconfig contains the CA.
func presenting(change func(server, ca *x509.Certificate), settings ...func(*tls.Config)) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		now := time.Now()
		ca := &x509.Certificate{
			Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), SerialNumber: big.NewInt(1),
		}
		leaf := &x509.Certificate{
			Subject: pkix.Name{CommonName: "server"}, SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{
				x509.ExtKeyUsageServerAuth,
			}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		}
		if change != nil {
			change(leaf, ca)
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
		must(t, err)
		leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
		must(t, err)
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		certificates := []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: key}}
		s.TLS = &tls.Config{Certificates: certificates} //nolint:gosec // a test lowers the version
		for _, set := range settings {
			set(s.TLS)
		}
		s.StartTLS()
		t.Cleanup(s.Close)
		text := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}))
		return asked(t, s.URL, ", certificate-authority-data: "+text)
	}
}

func tlsRows() []row {
	unavailable := []error{kubeapi.ErrUnavailable}
	const blame = "is not signed by the CA"
	return []row{
		{
			cause: "certificate of another CA", by: func(t *testing.T) outcome {
				s := httptest.NewUnstartedServer(http.NotFoundHandler())
				s.Config.ErrorLog = log.New(io.Discard, "", 0)
				s.StartTLS()
				t.Cleanup(s.Close)
				return presentedBy(t, s)
			}, code: 11, says: "is not signed by the CA certificate in", remedy: "replace its certificate-authority",
			not: "install container", kinds: unavailable,
		},
		{
			cause: "certificate expired",
			by:    presenting(func(server, _ *x509.Certificate) { server.NotAfter = time.Now().Add(-time.Minute) }),
			code:  11, says: "expired at", remedy: "renew it on the control plane", not: blame, kinds: unavailable,
		},
		{
			cause: "certificate not valid yet",
			by:    presenting(func(server, _ *x509.Certificate) { server.NotBefore = time.Now().Add(time.Minute) }),
			code:  11, says: "is not valid before", remedy: "correct the clock of this node", not: blame, kinds: unavailable,
		},
		{
			cause: "certificate for another address",
			by:    presenting(func(server, _ *x509.Certificate) { server.IPAddresses = []net.IP{net.IPv4(10, 96, 0, 1)} }),
			code:  11, says: "is not valid for 127.0.0.1, but for 10.96.0.1", remedy: "tls-server-name", not: blame,
			kinds: unavailable,
		},
		{
			cause: "certificate of a client",
			by: presenting(func(server, _ *x509.Certificate) {
				server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			}),
			code: 11, says: "is not for a server", remedy: "issue it again", not: blame, kinds: unavailable,
		},
		{
			cause: "CA expired", by: presenting(func(_, ca *x509.Certificate) { ca.NotAfter = time.Now().Add(-time.Minute) }),
			code: 11, says: `the CA certificate "test CA"`, remedy: "renew it on the control plane", not: blame,
			kinds: unavailable,
		},
		{
			cause: "TLS 1.1",
			by:    presenting(nil, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
			code:  11, says: "speaks no TLS 1.2 or newer", remedy: "allow it there", not: blame, kinds: unavailable,
		},
		{
			cause: "client certificate required",
			by: presenting(nil, func(c *tls.Config) {
				c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
			}),
			code: 11, says: "requires a client certificate", remedy: "set client-certificate and client-key", not: blame,
			kinds: unavailable,
		},
		{
			cause: "plain HTTP on the port of TLS", by: func(t *testing.T) outcome {
				s := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(s.Close)
				return asked(t, "https://"+s.Listener.Addr().String(), "")
			}, code: 11, says: "answers in plain HTTP", remedy: "correct scheme or port", not: blame, kinds: unavailable,
		},
	}
}

// silent makes a request to a server that accepts connections but never answers, until the deadline.
func silent(t *testing.T) outcome {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	client, err := kube.Load(write(t, kubeconfigFor("http://"+l.Addr().String(), "")), "test")
	must(t, err)
	defer client.Close()
	ctx, cancel := deadline.Within(t.Context(), 50*time.Millisecond, "the release of the addresses")
	defer cancel()
	return of(client.Ping(ctx))
}

// limited makes a request that the rate limit delays beyond the deadline.
func limited(t *testing.T) outcome {
	s := httptest.NewServer(status(500, "InternalError", "boom"))
	defer s.Close()
	client, err := kube.Load(write(t, kubeconfigFor(s.URL, "")), "test")
	must(t, err)
	defer client.Close()
	client = client.Limited(0.001, 1)
	ctx, cancel := deadline.Within(t.Context(), time.Minute, "the release of the addresses")
	defer cancel()
	_ = client.Ping(ctx) // uses the only request of the burst
	return of(client.Ping(ctx))
}

// presentedBy makes an ADD that uses a server with the CA of the real API server.
func presentedBy(t *testing.T, s *httptest.Server) outcome {
	t.Helper()
	file := kubeconfigOf(t, cluster(t).Kubeconfig(), func(c *clusterEntry) { c.Server = s.URL })
	return configured("kubernetes.kubeconfig", file)(t)
}

// status returns a handler that responds with a Status object.
func status(code int, reason, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(
			w,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"`+reason+`","message":"`+message+`","code":`+itoa(
				code,
			)+`}`,
		)
	}
}

// damaged responds with a ClusterInformation whose spec has the wrong type, and otherwise with valid objects and empty
// lists.
func damaged(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/clusterinformations/default"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(
			w,
			`{"kind":"ClusterInformation","apiVersion":"crd.projectcalico.org/v1","metadata":{"name":"default"},"spec":5}`,
		)
	case strings.HasSuffix(r.URL.Path, "/default"):
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(
			w,
			`{"kind":"IPAMConfig","apiVersion":"crd.projectcalico.org/v1","metadata":{"name":"default"},"spec":{}}`,
		)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(
			w,
			`{"kind":"List","apiVersion":"crd.projectcalico.org/v1","metadata":{"resourceVersion":"1"},"items":[]}`,
		)
	}
}

// refusing makes an ADD whose kubeconfig has this file name and these credentials, which the API server rejects.
func refusing(name string, credentials clientcmdapi.AuthInfo) func(t *testing.T) outcome {
	return func(t *testing.T) outcome {
		config, err := clientcmd.LoadFromFile(cluster(t).Kubeconfig())
		must(t, err)
		*config.AuthInfos[config.Contexts[config.CurrentContext].AuthInfo] = credentials
		file := filepath.Join(t.TempDir(), name)
		must(t, clientcmd.WriteToFile(*config, file))
		return configured("kubernetes.kubeconfig", file)(t)
	}
}

func serverRows() []row {
	refused := []error{kubeapi.ErrUnauthorized}
	return []row{
		{
			cause: "connection refused", by: func(t *testing.T) outcome {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				must(t, err)
				must(t, l.Close())
				return asked(t, "https://"+l.Addr().String(), "")
			}, code: 11, says: "connection refused", remedy: "check whether the API server", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "server that does not answer", by: silent,
			code: 11, says: "no answer in time: the release of the addresses took longer than",
			remedy: "check whether the API server", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "limit of requests too low", by: limited, code: 11,
			says:   "the configuration limits requests to qps 0.001 and burst 1",
			remedy: "raise both", not: "check whether the API server", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "host name unknown",
			by:    func(t *testing.T) outcome { return asked(t, "https://api.invalid:443", ", tls-server-name: x") },
			code:  11, says: "the host name api.invalid", remedy: "use an IP address", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "proxy that does not answer", by: func(t *testing.T) outcome {
				return asked(t, "https://192.0.2.1", ", proxy-url: 'http://127.0.0.1:1'")
			}, code: 11, says: "no connection to the proxy: no connection to 127.0.0.1:1: connection refused",
			remedy: "see proxy-url in the kubeconfig", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "proxy that is a web server", by: func(t *testing.T) outcome {
				s := httptest.NewServer(http.NotFoundHandler())
				t.Cleanup(s.Close)
				return asked(
					t,
					"https://192.0.2.1",
					", proxy-url: '"+strings.Replace(s.URL, "http://", "http://u:"+secret+"@", 1)+"'",
				)
			}, code: 11, says: `refuses the connection to the API server with "404 Not Found"`, remedy: "correct proxy-url " +
				"in the kubeconfig", not: "check whether the API server", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause:  "internal error of the server",
			by:     answering(status(500, "InternalError", "etcdserver: mvcc: database space exceeded")),
			code:   11,
			says:   "database space exceeded",
			remedy: "see the log of the API server",
			not:    "answers from this node",
			kinds:  []error{kubeapi.ErrUnavailable},
		},
		{
			cause:  "too many requests",
			by:     answering(status(429, "TooManyRequests", "the server has received too many requests")),
			code:   11,
			says:   "limits the rate of requests",
			remedy: "retry, or lower the load on the API server",
			not:    "answers from this node",
			kinds:  []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "load balancer without a server", by: answering(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}), code: 11, says: "503 Service Unavailable", remedy: "check the API server, and the load balancer or proxy",
			not: "answers from this node", kinds: []error{kubeapi.ErrUnavailable},
		},
		{
			cause: "object that the schema refuses",
			by:    answering(status(422, "Invalid", "IPAMBlock is invalid: spec.deleted: Required value")),
			code:  101, says: "object refused", remedy: "apply the CustomResourceDefinitions of this version",
			not: "refuses the request", kinds: []error{kubeapi.ErrInvalid},
		},
		{
			cause:  "admission webhook",
			by:     answering(status(403, "Forbidden", "admission webhook 'w' denied the request: no")),
			code:   101,
			says:   "an admission webhook, policy or plugin of the API server refuses the request",
			remedy: "change it so that it allows the requests of the user of",
			not:    "ClusterRole",
			kinds:  []error{kubeapi.ErrForbidden},
		},
		{
			cause: "login page", by: answering(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>Please log in</html>")
			}), code: 11, says: "HTML page", remedy: "with https:// if it has TLS", kinds: []error{kubeapi.ErrNotServed},
		},
		{
			cause:  "not found by another server",
			by:     answering(http.NotFound),
			code:   11,
			says:   "404",
			remedy: "is the API server of this cluster",
			kinds:  []error{kubeapi.ErrNotServed},
		},
		{cause: "redirect", by: answering(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example/", http.StatusFound)
		}), code: 11, says: "redirect", remedy: "with https:// if it has TLS", kinds: []error{kubeapi.ErrNotServed}},
		{
			cause:  "method not allowed",
			by:     answering(status(405, "MethodNotAllowed", "no")),
			code:   101,
			says:   "request refused",
			remedy: "check whether this version of the API server is supported",
			kinds:  []error{kubeapi.ErrRefused},
		},
		{
			cause: "response with a malformed object", by: answering(damaged), code: 101, says: "clusterinformations",
			remedy: "repair or delete the object", kinds: []error{kubeapi.ErrMalformed},
		},
		{
			cause: "token of the install container refused",
			by:    refusing(kube.InstalledName, clientcmdapi.AuthInfo{Token: secret}),
			code:  11, says: "token has expired, or its service account was recreated", remedy: "install container renews it",
			kinds: refused,
		},
		{
			cause: "token refused", by: refusing("admin.conf", clientcmdapi.AuthInfo{Token: secret}),
			code: 11, says: "token has expired, or its service account was recreated", remedy: "write a new token there",
			not: "install container", kinds: refused,
		},
		{
			cause: "password refused", by: refusing("admin.conf", clientcmdapi.AuthInfo{Username: "u", Password: secret}),
			code: 11, says: "its user name or password is wrong", remedy: "set a token or a client certificate",
			not: "no ClusterRole", kinds: refused,
		},
		{
			cause: "credential plugin refused", by: func(t *testing.T) outcome {
				program := write(
					t,
					"#!/bin/sh\necho '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", "+
						"\"status\": {\"token\": \""+secret+"\"}}'\n",
				)
				must(t, os.Chmod(program, 0o700))
				return refusing("admin.conf", clientcmdapi.AuthInfo{Exec: &clientcmdapi.ExecConfig{
					APIVersion: "client.authentication.k8s.io/v1", Command: program,
					InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
				}})(t)
			}, code: 11, says: "its credential plugin (exec) prints credentials that have expired", remedy: "run ",
			not: "token has expired", kinds: refused,
		},
		{
			cause: "missing right", by: func(t *testing.T) outcome {
				s, file := cluster(t), filepath.Join(t.TempDir(), "kubeconfig")
				must(t, s.Admin().CreateServiceAccount(t.Context(), "default", "powerless"))
				must(t, s.Accounts().WriteKubeconfig(t.Context(), file, "default", "powerless"))
				return configured("kubernetes.kubeconfig", file)(t)
			}, code: 101, says: "cannot", remedy: "no ClusterRole grants this right", kinds: []error{kubeapi.ErrForbidden},
		},
		{
			cause: "path of the server refused", by: func(t *testing.T) outcome {
				s := httptest.NewServer(status(403, "Forbidden", `User \"u\" cannot get path`))
				t.Cleanup(s.Close)
				return asked(t, s.URL+"/k8s/clusters/x", "")
			}, code: 101, says: "no ClusterRole grants this right", remedy: "the path /k8s/clusters/x in the server of",
			kinds: []error{kubeapi.ErrForbidden},
		},
		{
			cause: "missing namespace", by: func(t *testing.T) outcome {
				return pluginCall{
					verb: "ADD", changes: map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig()},
					env: map[string]string{"CNI_ARGS": "K8S_POD_NAMESPACE=nowhere;K8S_POD_NAME=ghost"},
				}.run(t)
			}, code: 11, says: `namespaces "nowhere" not found`, remedy: "check whether it was deleted",
			kinds: []error{kubeapi.ErrNotFound},
		},
	}
}
