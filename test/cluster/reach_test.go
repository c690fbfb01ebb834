// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// TestPodsNodesAndHostAreConnected in every direction, by their own addresses without NAT.
func TestPodsNodesAndHostAreConnected(t *testing.T) {
	need(t)
	apply(t, pod("a", "node-1", "")+pod("b", "node-1", "")+pod("far", "node-2", ""))
	ready(t, "a", "b", "far")
	a, b, far := addrs(t, "a")[0], addrs(t, "b")[0], addrs(t, "far")[0]
	for _, network := range []string{"tcp", "udp"} {
		equal(t, "pod to pod on one node", ask(t, "a", network, b+":80"), "b "+a)
		equal(t, "pod to pod across nodes", ask(t, "a", network, far+":80"), "far "+a)
		equal(t, "node to its pod", askFrom(t, c.Nodes[0], network, a+":80"), "a 192.0.2.11")
		equal(t, "node to pod on another node", askFrom(t, c.Nodes[2], network, a+":80"), "a 192.0.2.13")
	}
	out, err := exec.CommandContext(t.Context(), probe(), "ask", "tcp", far+":80").CombinedOutput()
	do(t, err)
	equal(t, "host to pod", strings.TrimSpace(string(out)), "far 192.0.2.1")

	// From the pod to the node and to the host.
	listener, err := net.Listen("tcp", "192.0.2.1:8080")
	do(t, err)
	defer listener.Close()
	go answerAll(listener, "host")
	equal(t, "pod to host", ask(t, "a", "tcp", "192.0.2.1:8080"), "host "+a)
	ctx, cancel := context.WithCancel(t.Context())
	server := c.Nodes[0].Command(ctx, probe(), "serve", "8081")
	do(t, server.Start())
	defer func() { cancel(); _ = server.Wait() }()
	for _, from := range []string{"a", "far"} {
		eventually(t, func() error {
			out, err := c.Kubectl(t.Context(), "", "exec", from, "--", "/probe", "ask", "tcp", "192.0.2.11:8081")
			if want := "node-1 " + addrs(t, from)[0] + "\n"; err == nil && out != want {
				return fmt.Errorf("pod %s to node: got %q, want %q", from, out, want)
			}
			return err
		})
	}
}

// answerAll answers every connection with the names of the listener and the client.
func answerAll(l net.Listener, name string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1))
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		_, _ = fmt.Fprintf(conn, "%s %s\n", name, host)
		_ = conn.Close()
	}
}

// TestServiceReachesPods through kube-proxy, from pods and nodes, over TCP and UDP, and from a pod to itself.
func TestServiceReachesPods(t *testing.T) {
	need(t)
	apply(t, pod("server", "node-1", "")+pod("client", "node-2", "")+`---
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{name: tcp, port: 8080, targetPort: 80, protocol: TCP}, {name: udp, port: 8080, targetPort: 80, protocol: UDP}]
`)
	ready(t, "server", "client")
	service := kubectl(t, "get", "service", "server", "-o", "jsonpath={.spec.clusterIP}") + ":8080"
	client := addrs(t, "client")[0]
	for _, network := range []string{"tcp", "udp"} {
		eventually(t, func() error {
			out, err := c.Kubectl(t.Context(), "", "exec", "client", "--", "/probe", "ask", network, service)
			if want := "server " + client + "\n"; err == nil && out != want {
				return fmt.Errorf("pod to Service: got %q, want %q", out, want)
			}
			return err
		})
	}
	if got := askFrom(t, c.Nodes[2], "tcp", service); !strings.HasPrefix(got, "server ") {
		t.Errorf("node to Service: got %q, want an answer of server", got)
	}
	if got := ask(t, "server", "tcp", service); !strings.HasPrefix(got, "server ") {
		t.Errorf("pod to itself by its Service: got %q, want an answer of server", got)
	}
}

// TestHostPortReachesPod through the plugin portmap, from another node and from its own node, but not after its end.
func TestHostPortReachesPod(t *testing.T) {
	need(t)
	apply(t, pod("web", "node-1", ", ports: [{containerPort: 80, hostPort: 8088}]")+pod("client", "node-2", ""))
	ready(t, "web", "client")
	equal(t, "another node to hostPort", askFrom(t, c.Nodes[1], "tcp", "192.0.2.11:8088"), "web 192.0.2.12")
	if got := askFrom(t, c.Nodes[0], "tcp", "192.0.2.11:8088"); !strings.HasPrefix(got, "web ") {
		t.Errorf("own node to hostPort: got %q, want an answer of web", got)
	}
	equal(t, "pod to hostPort", ask(t, "client", "tcp", "192.0.2.11:8088"), "web "+addrs(t, "client")[0])
	kubectl(t, "delete", "pod", "web", "--timeout=1m")
	eventually(t, func() error {
		rules, err := c.Nodes[0].Run(t.Context(), "sh", "-c", "iptables-save -t nat; nft list ruleset")
		if err == nil && strings.Contains(rules, "8088") {
			return fmt.Errorf("rules of hostPort are left:\n%s", rules)
		}
		return err
	})
}
