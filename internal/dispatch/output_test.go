// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"calico-cni/internal/dispatch"
)

// ipv4Only returns an ADD whose result every version can represent.
func ipv4Only(i *invocation) func(context.Context, *skel.CmdArgs) (types.Result, error) {
	add := i.plugin.Add
	return func(ctx context.Context, args *skel.CmdArgs) (types.Result, error) {
		_, err := add(ctx, args)
		return &current.Result{CNIVersion: "1.1.0", IPs: []*current.IPConfig{{Address: cidr("10.0.0.5/32")}}}, err
	}
}

// full returns a result with every field of version 1.1.0.
func full() *current.Result {
	return &current.Result{
		CNIVersion: "1.1.0",
		Interfaces: []*current.Interface{
			{Name: "cali0", Mac: "ee:ee:ee:ee:ee:ee", Mtu: 1450},
			{Name: "eth0", Mac: "0a:58:0a:00:00:05", Mtu: 1450, Sandbox: "/ns", SocketPath: "/s", PciID: "00:1f.6"},
		},
		IPs: []*current.IPConfig{
			{Interface: new(1), Address: cidr("10.0.0.5/32"), Gateway: net.ParseIP("169.254.1.1")},
			{Interface: new(1), Address: cidr("fd00::5/128")},
		},
		Routes: []*types.Route{
			{
				Dst: cidr("0.0.0.0/0"), GW: net.ParseIP("169.254.1.1"), MTU: 1400, AdvMSS: 1360, Priority: 7,
				Table: new(100), Scope: new(253),
			},
			{Dst: cidr("::/0"), MTU: 1400},
		},
		DNS: types.DNS{Nameservers: []string{"10.96.0.10"}},
	}
}

func cidr(text string) net.IPNet {
	ip, n, err := net.ParseCIDR(text)
	if err != nil {
		panic(err)
	}
	return net.IPNet{IP: ip, Mask: n.Mask}
}

const (
	in0102 = `"dns":{"nameservers":["10.96.0.10"]},
		"ip4":{"ip":"10.0.0.5/32","gateway":"169.254.1.1","routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"}]},
		"ip6":{"ip":"fd00::5/128","routes":[{"dst":"::/0"}]}`
	in03to10 = `"dns":{"nameservers":["10.96.0.10"]},
		"interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee"},{"name":"eth0","mac":"0a:58:0a:00:00:05",
			"sandbox":"/ns"}],
		"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1"},{"dst":"::/0"}]`
	ipsWithVersion = `"ips":[{"version":"4","interface":1,"address":"10.0.0.5/32","gateway":"169.254.1.1"},` +
		`{"version":"6","interface":1,"address":"fd00::5/128"}]`
	ips = `"ips":[{"interface":1,"address":"10.0.0.5/32","gateway":"169.254.1.1"},` +
		`{"interface":1,"address":"fd00::5/128"}]`
)

func TestA3R1R2R3R4ResultHasVersionOfConfiguration(t *testing.T) {
	for version, want := range map[string]string{
		"0.1.0": in0102,
		"0.2.0": in0102,
		"0.3.0": in03to10 + "," + ipsWithVersion,
		"0.3.1": in03to10 + "," + ipsWithVersion,
		"0.4.0": in03to10 + "," + ipsWithVersion,
		"1.0.0": in03to10 + "," + ips,
		"1.1.0": ips + `,"dns":{"nameservers":["10.96.0.10"]},
			"interfaces":[{"name":"cali0","mac":"ee:ee:ee:ee:ee:ee","mtu":1450},
				{"name":"eth0","mac":"0a:58:0a:00:00:05","mtu":1450,"sandbox":"/ns","socketPath":"/s",
					"pciID":"00:1f.6"}],
			"routes":[{"dst":"0.0.0.0/0","gw":"169.254.1.1","mtu":1400,"advmss":1360,"priority":7,"table":100,
				"scope":253},{"dst":"::/0","mtu":1400}]`,
	} {
		t.Run(version, func(t *testing.T) {
			given := full()
			i := invoke("ADD", `{"cniVersion":"`+version+`","name":"net"}`)
			i.plugin.Add = func(context.Context, *skel.CmdArgs) (types.Result, error) { return given, nil }
			if i.run(); i.exit != 0 || i.stderr.Len() > 0 {
				t.Fatalf("exit code %d, standard error %q", i.exit, i.stderr.String())
			}
			check(t, indent(t, i.stdout.String()), indent(t, `{"cniVersion":"`+version+`",`+want+"}"))
			if diff := cmp.Diff(full(), given); diff != "" {
				t.Errorf("the plugin's own value was changed:\n%s", diff)
			}
		})
	}
}

func TestResultOfDelegateIsConverted(t *testing.T) {
	i := invoke("ADD", v010)
	i.plugin.Add = func(context.Context, *skel.CmdArgs) (types.Result, error) { return full().GetAsVersion("0.3.1") }
	i.run()
	check(t, indent(t, i.stdout.String()), indent(t, `{"cniVersion":"0.1.0",`+in0102+"}"))
}

func TestUnconvertibleResultIsError(t *testing.T) {
	for name, c := range map[string]struct {
		result types.Result
		want   string
	}{
		"no address": {
			&current.Result{},
			"0.1.0: 999: convert result to version 0.1.0: cannot convert: no valid IP addresses",
		},
		"none": {nil, "0.1.0: 999: convert result to version 0.1.0: the plugin returned no result"},
	} {
		t.Run(name, func(t *testing.T) {
			i := invoke("ADD", v010)
			i.plugin.Add = func(context.Context, *skel.CmdArgs) (types.Result, error) { return c.result, nil }
			check(t, i.outcome(t), c.want)
		})
	}
}

func TestV1V2V3V4VersionAnswersInRequestedVersion(t *testing.T) {
	for input, want := range map[string]string{
		`{"cniVersion":"0.4.0"}`: "0.4.0",
		`{"cniVersion":"9.9.9"}`: "9.9.9",
		`{"cniVersion":""}`:      "1.1.0",
		`{}`:                     "1.1.0",
		``:                       "1.1.0",
		`garbage`:                "1.1.0",
	} {
		i := &invocation{env: map[string]string{"CNI_COMMAND": "VERSION"}, stdin: strings.NewReader(input)}
		i.run()
		const supported = `"supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]`
		if i.exit != 0 || i.stderr.Len() > 0 {
			t.Errorf("input %q: exit code %d, standard error %q", input, i.exit, i.stderr.String())
		}
		check(t, indent(t, i.stdout.String()), indent(t, `{"cniVersion":"`+want+`",`+supported+`}`))
	}
}

// TestVersionDoesNotReadTerminal hangs if VERSION reads from a terminal.
func TestVersionDoesNotReadTerminal(t *testing.T) {
	terminal := openTerminal(t)
	var stdout bytes.Buffer
	exit := dispatch.Run(t.Context(), dispatch.Process{
		Getenv: func(key string) string { return map[string]string{"CNI_COMMAND": "VERSION"}[key] }, Stdin: terminal,
		Stdout: &stdout, Stderr: &stdout,
	}, dispatch.Plugin{})
	if exit != 0 || !strings.Contains(stdout.String(), `"cniVersion":"1.1.0"`) {
		t.Errorf("exit code %d, output %q", exit, stdout.String())
	}
}

// openTerminal returns the program's end of a new pseudo-terminal (pts(4)).
func openTerminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.IoctlRetInt(int(master.Fd()), unix.TIOCGPTPEER)
	if err != nil {
		t.Fatal(err)
	}
	terminal := os.NewFile(uintptr(fd), "terminal")
	t.Cleanup(func() { _ = terminal.Close() })
	return terminal
}

// indent formats JSON independently of the order of its keys.
func indent(t *testing.T, text string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
