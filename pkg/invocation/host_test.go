// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/netconf"
	"calico-cni/pkg/workload"
)

func addrs(text string) (list []netip.Addr) {
	for field := range strings.FieldsSeq(text) {
		list = append(list, netip.MustParseAddr(field))
	}
	return list
}

func TestRequestedAddrsPrefersConfigurationToCNIArgs(t *testing.T) {
	for _, c := range []struct{ fields, args, want string }{
		{"", "", ""},
		{"", "IP=10.0.0.1", "10.0.0.1"},
		{`,"args":{"cni":{"ips":["10.0.0.2"]}}`, "IP=10.0.0.1", "10.0.0.2"},
		{
			`,"args":{"cni":{"ips":["10.0.0.2"]}},"runtimeConfig":{"ips":["10.0.0.3/24","fd00::3"]}`, "IP=10.0.0.1",
			"10.0.0.3 fd00::3",
		},
		{`,"runtimeConfig":{"ips":[]}`, "IP=fd00::1", "fd00::1"},
	} {
		conf, err := netconf.Parse([]byte(`{"name":"net","ipam":{"type":"calico-ipam"}` + c.fields + `}`))
		if err != nil {
			t.Fatal(err)
		}
		args, err := workload.ParseArgs(c.args)
		if err != nil {
			t.Fatal(err)
		}
		equal := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(addrs(c.want), (&Call{Conf: conf, Args: args}).RequestedAddrs(), equal); diff != "" {
			t.Errorf("%s with CNI_ARGS %q (-want +got):\n%s", c.fields, c.args, diff)
		}
	}
}

func TestNodeNameUsesFirstSource(t *testing.T) {
	broken := errors.New("input/output error")
	for _, c := range []struct {
		name    string
		conf    netconf.NetConf
		file    string
		fileErr error
		host    string
		hostErr error
		ipam    bool
		want    string
	}{
		{name: "no file, IPAM plugin", conf: netconf.NetConf{Nodename: "a"}, fileErr: fs.ErrNotExist, ipam: true, want: "a"},
		{name: "no name but the host's, IPAM plugin", fileErr: fs.ErrNotExist, host: "D", ipam: true, want: "d"},
		{name: "file, IPAM plugin", conf: netconf.NetConf{Hostname: "c"}, file: "b", ipam: true, want: "b"},
		{name: "nodename", conf: netconf.NetConf{Nodename: "A", Hostname: "c"}, file: "b", host: "d", want: "A"},
		{name: "file", conf: netconf.NetConf{Hostname: "c"}, file: "B\n", host: "d", want: "B"},
		{name: "hostname of the configuration", conf: netconf.NetConf{Hostname: "C"}, file: "\n", host: "d", want: "C"},
		{name: "the system's, in lower case", host: "D.Example\n", want: "d.example"},
		{
			name: "no file, optional", conf: netconf.NetConf{NodenameFileOptional: true, Hostname: "c"},
			fileErr: fs.ErrNotExist, want: "c",
		},
		{
			name: "unreadable file, optional", conf: netconf.NetConf{NodenameFileOptional: true},
			fileErr: broken, host: "d", want: "d",
		},
		{
			name: "optional file that exists", conf: netconf.NetConf{NodenameFileOptional: true, Hostname: "c"},
			file: "b", want: "b",
		},
		{
			name: "no file", conf: netconf.NetConf{Nodename: "a"}, fileErr: fs.ErrNotExist,
			want: "node is not ready: /nodename does not exist: the node agent writes it; check that the calico-node pod " +
				"runs on this node and mounts /var/lib/calico, or set nodename_file_optional",
		},
		{
			name: "unreadable file", conf: netconf.NetConf{Nodename: "a"}, fileErr: broken,
			want: "node is not ready: read nodename file: input/output error",
		},
		{name: "no name anywhere", hostErr: broken, want: "read host name: input/output error; set nodename in the CNI " +
			"configuration"},
		{name: "empty name", host: " ", want: "read host name: it is empty; set nodename in the CNI configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.conf.NodenameFile = "/nodename"
			readFile := func(path string) ([]byte, error) {
				if path != c.conf.NodenameFile {
					t.Errorf("reads %s", path)
				}
				return []byte(c.file), c.fileErr
			}
			host := Host{
				ReadFile: readFile, Hostname: func() (string, error) { return c.host, c.hostErr },
				NodenameFileOptional: c.ipam,
			}
			got, err := host.NodeName(&c.conf)
			if err != nil {
				got = err.Error()
				notReady := strings.HasPrefix(got, "node is not ready")
				if errors.Is(err, ErrNodeNotReady) != notReady || !errors.Is(err, c.hostErr) && c.hostErr != nil {
					t.Errorf("%v wraps the wrong error", err)
				}
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
