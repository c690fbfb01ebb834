// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"

	"calico-cni/internal/nettest"
)

var bin = flag.String("bin", "", "directory of the plugins; set in the guest")

// TestAttachmentWithNetkit runs ADD, CHECK and DEL of the built binary, outside of Kubernetes and with host-local, so
// that it needs no API server.
func TestAttachmentWithNetkit(t *testing.T) {
	if *bin == "" {
		t.Skip("runs in the guest")
	}
	node, pod := nettest.NewNetNS(t), nettest.NewNetNS(t)
	configureHost(t, node)
	before := node.Dump()
	cni := libcni.NewCNIConfigWithCacheDir([]string{*bin}, t.TempDir(), nil)
	list := networkList(t)
	rt := &libcni.RuntimeConf{ContainerID: "0123456789abcdef", NetNS: pod.Path, IfName: "eth0"}
	do := func(what string, f func() error) {
		t.Helper()
		node.Do(func() {
			if err := f(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		})
	}
	do("ADD", func() error {
		r, err := cni.AddNetworkList(t.Context(), list, rt)
		if err != nil {
			return err
		}
		result, err := current.NewResultFromResult(r)
		if err == nil {
			expectReachable(t, node, pod, result.IPs)
		}
		return err
	})
	for ns, name := range map[*nettest.NetNS]string{node: "cali0123456789a", pod: "eth0"} {
		ns.Do(func() {
			if link, err := netlink.LinkByName(name); err != nil || link.Type() != "netkit" {
				t.Errorf("%s is %v, %v", name, link, err)
			}
		})
	}
	do("CHECK", func() error { return cni.CheckNetworkList(t.Context(), list, rt) })
	for range 2 {
		do("DEL", func() error { return cni.DelNetworkList(t.Context(), list, rt) })
		if after := node.Dump(); after != before {
			t.Errorf("state of the host before:\n%s\nafter DEL:\n%s", before, after)
		}
	}
}

func networkList(t *testing.T) *libcni.NetworkConfigList {
	t.Helper()
	type object = map[string]any
	data, err := json.Marshal(object{
		"cniVersion": "1.1.0", "name": "net", "plugins": []any{object{
			"type": "calico", "device_type": "netkit", "datastore_type": "kubernetes", "nodename_file_optional": true,
			"mtu": 1400, "log_file_path": "/var/cni.log",
			"ipam": object{"type": "host-local", "dataDir": t.TempDir(), "ranges": []any{
				[]any{object{"subnet": "10.77.0.0/24"}}, []any{object{"subnet": "fd00:77::/64"}},
			}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	list, err := libcni.ConfListFromBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// configureHost sets up the loopback interface of a namespace, with an address of the host.
func configureHost(t *testing.T, ns *nettest.NetNS) {
	t.Helper()
	ns.Do(func() {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err == nil {
			address := &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(32, 32)}
			err = netlink.AddrAdd(lo, &netlink.Addr{IPNet: address})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// expectReachable expects an answer to a connection from the host to each address of the pod.
func expectReachable(t *testing.T, node, pod *nettest.NetNS, ips []*current.IPConfig) {
	t.Helper()
	if len(ips) != 2 {
		t.Errorf("%d addresses, want one of each family", len(ips))
	}
	for _, ip := range ips {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		if err := connect(t, node, pod, addr.Unmap()); err != nil {
			t.Errorf("host to %s: %v", addr, err)
		}
	}
}

func connect(t *testing.T, node, pod *nettest.NetNS, addr netip.Addr) (err error) {
	t.Helper()
	var listener net.Listener
	pod.Do(func() { listener, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String()) })
	if err != nil {
		return err
	}
	defer listener.Close()
	answered := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write([]byte("hello"))
			conn.Close()
		}
		answered <- err
	}()
	var conn net.Conn
	node.Do(func() { conn, err = (&net.Dialer{Timeout: time.Minute}).Dial("tcp", listener.Addr().String()) })
	if err != nil {
		return err
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		return fmt.Errorf("got %q: %w", got, err)
	}
	return <-answered
}
