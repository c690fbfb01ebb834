// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"calico-cni/pkg/kubeapi"
)

// Frames of HTTP/2 (RFC 9113, section 6) and their error codes (section 7).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	flagEndStream, flagAck, flagEndHeaders = 1, 1, 4

	codeProtocolError, codeInternalError, codeRefusedStream = 1, 2, 7

	preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
)

// framed is an HTTP/2 server that answers accepted requests and ends the second one in a given way.
type framed struct {
	net.Listener
	requests atomic.Int32
	// end ends the second request. It returns whether the connection stays open.
	end func(w io.Writer, stream uint32) bool
}

func startFramed(t *testing.T, end func(io.Writer, uint32) bool) *framed {
	t.Helper()
	cert, key := certificate(t, "server")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0",
		&tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f := &framed{Listener: l, end: end}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	return f
}

func (f *framed) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	if _, err := io.CopyN(io.Discard, r, int64(len(preface))); err != nil {
		return
	}
	writeFrame(c, frameSettings, 0, 0, nil)
	for {
		var header [9]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return
		}
		payload := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		kind, flags, stream := header[3], header[4], binary.BigEndian.Uint32(header[5:])
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			writeFrame(c, frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			writeFrame(c, framePing, flagAck, 0, payload)
		case (kind == frameData || kind == frameHeaders) && flags&flagEndStream != 0:
			if f.requests.Add(1) == 2 {
				if !f.end(c, stream) {
					return
				}
				continue
			}
			writeFrame(c, frameHeaders, flagEndHeaders, stream, []byte{0x88}) // :status 200, of the static table
			writeFrame(c, frameData, flagEndStream, stream, []byte(anything))
		}
	}
}

func writeFrame(w io.Writer, kind, flags byte, stream uint32, payload []byte) {
	frame := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	frame = binary.BigEndian.AppendUint32(frame, stream)
	_, _ = w.Write(append(frame, payload...))
}

func reset(code uint32) func(io.Writer, uint32) bool {
	return func(w io.Writer, stream uint32) bool {
		writeFrame(w, frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
		return true
	}
}

// leave sends GOAWAY: streams up to that of the request, minus unprocessed, may have been processed.
func leave(unprocessed uint32, open bool) func(io.Writer, uint32) bool {
	return func(w io.Writer, stream uint32) bool {
		payload := binary.BigEndian.AppendUint32(nil, stream-unprocessed)
		writeFrame(w, frameGoAway, 0, 0, binary.BigEndian.AppendUint32(payload, 0))
		return open
	}
}

// TestHTTP2RetriesOnlyUnprocessedRequests checks the error handling of net/http and this package with real frames.
func TestHTTP2RetriesOnlyUnprocessedRequests(t *testing.T) {
	for name, c := range map[string]struct {
		end           func(io.Writer, uint32) bool
		reads, writes int32 // requests that reach the server
	}{
		"refused stream":               {reset(codeRefusedStream), 2, 2},
		"protocol error":               {reset(codeProtocolError), 2, 1},
		"internal error":               {reset(codeInternalError), 1, 1},
		"going away, not processed":    {leave(2, true), 2, 2},
		"going away, may be processed": {leave(0, false), 2, 1},
		"connection closed":            {func(io.Writer, uint32) bool { return false }, 2, 1},
	} {
		for _, method := range []string{
			http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch,
			http.MethodDelete,
		} {
			f := startFramed(t, c.end)
			client := loaded(t, "server: 'https://"+f.Addr().String()+"', insecure-skip-tls-verify: true", "")
			body, want := []byte("x"), c.writes
			if method == http.MethodGet {
				body, want = nil, c.reads
			}
			ask := func() error {
				_, err := client.Do(t.Context(), kubeapi.Request{Action: "ask", Method: method, Path: "/", Body: body})
				return err
			}
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			err := ask()
			if got := f.requests.Load() - 1; got != want || (err == nil) != (want == 2) || err != nil &&
				!errors.Is(err, kubeapi.ErrUnavailable) {
				t.Errorf("%s, %s: %v after %d requests, want %d", name, method, err, got, want)
			}
			if err != nil {
				quiet(t, err, "http2:", "GetBody", "Transport")
			}
		}
	}
}
