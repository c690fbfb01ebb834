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

var bin = flag.String("bin", "", "the directory of plugins; set in the guest")

// TestPluginAttachesByNetkit goes through a container's life with the built binary: no API server is asked outside of
// Kubernetes, with another IPAM plugin.
func TestPluginAttachesByNetkit(t *testing.T) {
	if *bin == "" {
		t.Skip("runs in the guest")
	}
	node, pod := nettest.NewNetNS(t), nettest.NewNetNS(t)
	makeHost(t, node)
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
			reach(t, node, pod, result.IPs)
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
			t.Errorf("the host was:\n%s\nand is after DEL:\n%s", before, after)
		}
	}
}

func networkList(t *testing.T) *libcni.NetworkConfigList {
	t.Helper()
	type object = map[string]any
	data, err := json.Marshal(object{
		"cniVersion": "1.1.0", "name": "net", "plugins": []any{object{
			"type": "calico", "device_type": "netkit", "datastore_type": "kubernetes", "nodename_file_optional": true, "mtu": 1400,
			"log_file_path": "/var/cni.log",
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

// makeHost gives a namespace what a host has: lo, and an address of its own to speak from.
func makeHost(t *testing.T, ns *nettest.NetNS) {
	t.Helper()
	ns.Do(func() {
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err == nil {
			err = netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(32, 32)}})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// reach opens a connection from the host to each of the pod's addresses and gets an answer from there.
func reach(t *testing.T, node, pod *nettest.NetNS, ips []*current.IPConfig) {
	t.Helper()
	if len(ips) != 2 {
		t.Errorf("%d addresses, want one of each family", len(ips))
	}
	for _, ip := range ips {
		addr, _ := netip.AddrFromSlice(ip.Address.IP)
		if err := talk(t, node, pod, addr.Unmap()); err != nil {
			t.Errorf("host to %s: %v", addr, err)
		}
	}
}

func talk(t *testing.T, node, pod *nettest.NetNS, addr netip.Addr) (err error) {
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
	if heard, err := io.ReadAll(conn); err != nil || string(heard) != "hello" {
		return fmt.Errorf("heard %q: %w", heard, err)
	}
	return <-answered
}
