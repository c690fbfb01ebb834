// SPDX-License-Identifier: Apache-2.0

package apiserver

import (
	"context"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// connect creates the administrator's clients.
func (s *Server) connect(netns string) error {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read kubeconfig of API server: %w", err)
	}
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	if netns != "" {
		config.Dial = dialIn(netns)
	}
	s.config = config
	if s.client, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	if s.dynamic, err = dynamic.NewForConfig(config); err != nil {
		return fmt.Errorf("create dynamic client: %w", err)
	}
	return nil
}

// dialIn returns a dial function that creates sockets in a network namespace. A socket stays in the namespace in which
// it was created, whichever thread uses it.
func dialIn(netns string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		type result struct {
			conn net.Conn
			err  error
		}
		done := make(chan result)
		go func() {
			runtime.LockOSThread()
			home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				done <- result{nil, fmt.Errorf("open own network namespace: %w", err)}
				return
			}
			defer unix.Close(home)
			var r result
			if r.err = enter(netns); r.err == nil {
				// A literal address is dialed on the calling goroutine, and therefore on this thread.
				r.conn, r.err = new(net.Dialer).DialContext(ctx, network, address)
			}
			// If the thread cannot return to its namespace, it stays locked and ends with the goroutine.
			if unix.Setns(home, unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread()
			}
			done <- r
		}()
		r := <-done
		return r.conn, r.err
	}
}
