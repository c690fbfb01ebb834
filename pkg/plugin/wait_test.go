// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

// gated returns an ADD that waits for readiness gates. It needs no API server.
func gated(timeout time.Duration, gates ...string) *addRun {
	call := &invocation.Call{Conf: &netconf.NetConf{ReadinessGates: gates}, Log: slog.New(slog.DiscardHandler)}
	return newAddRun(&attachment{call: call, ipam: call.NodeIPAM()},
		Gates{Transport: http.DefaultTransport, Timeout: timeout, Poll: time.Millisecond})
}

// gate starts a server that responds with the statuses in order, and then repeats the last one. It counts the requests.
func gate(t *testing.T, statuses ...int) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(statuses[min(int(requests.Add(1)), len(statuses))-1])
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

const ample = time.Minute

func TestAddWaitsForReadinessGates(t *testing.T) {
	open, openRequests := gate(t, 204)
	late, lateRequests := gate(t, 503, 404, 302, 200)
	if err := gated(ample, open, late).awaitGates(t.Context()); err != nil {
		t.Error(err)
	}
	if openRequests.Load() != 1 || lateRequests.Load() != 4 {
		t.Errorf("%d requests to the open gate, %d to the one that opens at the fourth request",
			openRequests.Load(), lateRequests.Load())
	}
}

func TestClosedReadinessGateIsReportedWithoutSecrets(t *testing.T) {
	closed, _ := gate(t, 503)
	next, nextRequests := gate(t, 200)
	withPassword := strings.Replace(closed, "http://", "http://user:hunter2@", 1) + "/ready?token=hunter2"
	dead := httptest.NewServer(nil)
	dead.Close()
	for _, c := range []struct{ url, says string }{
		{withPassword, strings.TrimPrefix(closed, "http://") + "/ready is closed"},
		{withPassword, "it answers 503 Service Unavailable"},
		{dead.URL, "connection refused"},
	} {
		err := gated(50*time.Millisecond, c.url, next).awaitGates(t.Context())
		if !errors.Is(err, invocation.ErrNodeNotReady) || !strings.Contains(err.Error(), c.says) ||
			strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one that says %q", c.url, err, c.says)
		}
	}
	if nextRequests.Load() != 0 {
		t.Error("the gate after a closed one received a request")
	}
}

// statusFile is the node agent's file of an endpoint. It exists from the read with the number from.
type statusFile struct{ reads, from int }

func (f *statusFile) read(path string) ([]byte, error) {
	if f.reads++; path != "/status/k8s ns%2Fpod eth0" {
		return nil, errors.New("another file: " + path)
	}
	if f.reads < f.from {
		return nil, fs.ErrNotExist
	}
	return nil, nil
}

func TestPolicyWaitEndsWithFileOrTimeout(t *testing.T) {
	id := workload.ID{ContainerID: "c", Namespace: "ns", Pod: "pod", IfName: "eth0"}
	for name, c := range map[string]struct {
		seconds, from int
		warned        bool
		reads         int
	}{
		"no wait":      {0, 1, false, 0},
		"file exists":  {10, 1, false, 1},
		"file appears": {10, 3, false, 3},
		"no file":      {1, 1 << 30, true, -1},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			file := &statusFile{from: c.from}
			a := gated(ample)
			call := a.attachment.call
			call.Conf.PolicySetupTimeoutSeconds, call.Conf.EndpointStatusDir = c.seconds, "/status"
			call.ID, call.Log, call.Host.ReadFile = id, slog.New(slog.NewTextHandler(&log, nil)), file.read
			a.attachment.prefix, a.spec.HostIfName = "cali", id.HostIfName("cali")
			if err := a.awaitPolicy(t.Context()); err != nil {
				t.Errorf("error %v, want none", err)
			}
			warned := strings.Contains(log.String(), "before its policies")
			if warned != c.warned || c.reads >= 0 && file.reads != c.reads {
				t.Errorf("%d reads, log %q", file.reads, log.String())
			}
		})
	}
}

// TestReadinessGateErrorsHaveNoGoInternals simulates gates that fail in the network. No message may contain terms of
// Go.
func TestReadinessGateErrorsHaveNoGoInternals(t *testing.T) {
	silent := listener(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	closing := listener(t, func(net.Conn) {})
	other := listener(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1024))
		_, _ = c.Write([]byte("SSH-2.0-x\r\n"))
	})
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for _, c := range []struct{ url, says string }{
		{"http://" + closing, "the connection was closed before the answer was complete"},
		{"http://" + other, "the answer is not HTTP"},
		{"https://" + other, "it does not speak TLS; correct the scheme or the port"},
		{secure.URL, "its certificate cannot be verified with the CA certificates of this node"},
		{"http://127.0.0.1:1", "no connection to 127.0.0.1:1: connection refused"},
	} {
		if err := probe(t.Context(), new(http.Client), c.url); err == nil || !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", c.url, err, c.says)
		}
	}
	err := gated(50*time.Millisecond, "http://"+silent).awaitGates(t.Context())
	if want := "the wait for a readiness gate took longer than 50ms; check what answers " +
		"there"; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v, want one that ends with %q", err, want)
	}
}

// listener returns the address of a server that does this with its connections.
func listener(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				serve(conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}
