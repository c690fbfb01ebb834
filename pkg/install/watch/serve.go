// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Handler serves GET /readyz and GET /metrics.
func (w *Watcher) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", w.health)
	mux.Handle("GET /metrics", w.metrics.page())
	return mux
}

// serve serves the handler at the address until stop is called.
func (w *Watcher) serve(ctx context.Context) (stop func(), err error) {
	if w.Address == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.Address)
	if err != nil {
		return nil, fmt.Errorf("serve readiness: %w; set HEALTH_ADDR to an address that is free on this node", err)
	}
	server := &http.Server{Handler: w.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	w.Log.Info("readiness and metrics are served", "address", listener.Addr().String())
	return func() { _ = server.Close() }, nil
}
