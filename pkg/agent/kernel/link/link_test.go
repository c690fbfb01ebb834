// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"calico-cni/pkg/agent/kernel/link"
	"calico-cni/pkg/netstate"
)

// device returns a VXLAN device with a change.
func device(change func(*netstate.Device)) netstate.Device {
	d := netstate.Device{
		Name: link.VXLANv4, Kind: netstate.VXLAN, MTU: 1450, Addr: netip.MustParseAddr("10.1.0.0"),
		VXLAN: netstate.VXLANParams{
			VNI: 4096, Port: 4789, Parent: "eth0", Local: netip.MustParseAddr("198.18.0.11"), MAC: netstate.MAC{0x66, 1},
		},
	}
	if change != nil {
		change(&d)
	}
	return d
}

// found returns a device as the kernel has it.
func found(d netstate.Device, up bool, addrs ...string) link.Found {
	d.Addr = netip.Addr{}
	f := link.Found{Device: d, Up: up}
	for _, a := range addrs {
		f.Addrs = append(f.Addrs, netip.MustParsePrefix(a))
	}
	return f
}

func TestDiff(t *testing.T) {
	same := device(nil)
	create := "create vxlan.calico|add address to vxlan.calico: 10.1.0.0/32|set up vxlan.calico"
	tests := []struct {
		name   string
		actual link.Found
		want   string
	}{
		{"nothing to do", found(same, true, "10.1.0.0/32"), ""},
		{"missing", link.Found{}, create},
		{"MTU", found(device(func(d *netstate.Device) { d.MTU = 1400 }), true, "10.1.0.0/32"), "set MTU of vxlan.calico to 1450"},
		{
			"MAC", found(device(func(d *netstate.Device) { d.VXLAN.MAC[1] = 2 }), true, "10.1.0.0/32"),
			"set MAC address of vxlan.calico to 66:01:00:00:00:00",
		},
		{"down", found(same, false, "10.1.0.0/32"), "set up vxlan.calico"},
		{
			"other addresses", found(same, true, "10.9.0.0/32", "10.1.0.0/24"),
			"add address to vxlan.calico: 10.1.0.0/32|delete address from vxlan.calico: 10.9.0.0/32|" +
				"delete address from vxlan.calico: 10.1.0.0/24",
		},
		{"VNI", found(device(func(d *netstate.Device) { d.VXLAN.VNI = 1 }), true), "delete vxlan.calico|" + create},
		{"port", found(device(func(d *netstate.Device) { d.VXLAN.Port = 1 }), true), "delete vxlan.calico|" + create},
		{"parent", found(device(func(d *netstate.Device) { d.VXLAN.Parent = "" }), true), "delete vxlan.calico|" + create},
		{
			"local", found(device(func(d *netstate.Device) { d.VXLAN.Local = d.VXLAN.Local.Next() }), true),
			"delete vxlan.calico|" + create,
		},
		{"learning", link.Found{Device: found(same, true).Device, Other: "learning"}, "delete vxlan.calico|" + create},
		{
			"checksum offload turned off by an administrator",
			found(device(func(d *netstate.Device) { d.VXLAN.NoChecksumOffload = true }), true, "10.1.0.0/32"), "",
		},
	}
	for _, test := range tests {
		actual := link.Actual{}
		if test.actual.Device.Name != "" {
			actual[link.VXLANv4] = test.actual
		}
		plan := link.Diff(actual, []netstate.Device{same})
		if got := text(plan.Changes); got != test.want || plan.Faults != nil {
			t.Errorf("%s: changes %q, faults %v; want %q", test.name, got, plan.Faults, test.want)
		}
	}
}

func text(changes []link.Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.String())
	}
	return strings.Join(all, "|")
}

func TestChecksumOffloadIsTurnedOffBeforeTheDeviceIsUp(t *testing.T) {
	want := device(func(d *netstate.Device) { d.VXLAN.NoChecksumOffload = true })
	got := text(link.Diff(nil, []netstate.Device{want}).Changes)
	off, up := strings.Index(got, "turn off checksum offload"), strings.Index(got, "set up")
	if off < 0 || off > up {
		t.Errorf("changes %q", got)
	}
}

func TestDevicesThatAreNotDesired(t *testing.T) {
	tunnel := netstate.Device{Name: link.IPIPv4, Kind: netstate.IPIP, MTU: 1480}
	actual := link.Actual{link.VXLANv4: found(device(nil), true), link.IPIPv4: found(tunnel, true, "10.1.0.0/32")}
	want := "delete address from tunl0: 10.1.0.0/32|delete vxlan.calico"
	if got := text(link.Diff(actual, nil).Changes); got != want {
		t.Errorf("changes %q, want %q", got, want)
	}
}

func TestDevicesThatCannotBe(t *testing.T) {
	bridge := device(func(d *netstate.Device) { d.Kind = "bridge" })
	for name, test := range map[string]struct {
		actual  link.Actual
		desired netstate.Device
		want    string
	}{
		"foreign device": {link.Actual{link.VXLANv4: {Device: bridge}}, device(nil), "another program has created a device of kind bridge"},
		"wrong kind":     {nil, bridge, "cannot have the kind bridge"},
		"unknown name":   {nil, device(func(d *netstate.Device) { d.Name = "eth0" }), "device eth0: the agent does not own"},
	} {
		plan := link.Diff(test.actual, []netstate.Device{test.desired})
		matches := func(err error) bool { return strings.Contains(err.Error(), test.want) }
		if len(plan.Faults) != 1 || !slices.ContainsFunc(plan.Faults, matches) || plan.Changes != nil {
			t.Errorf("%s: faults %v, changes %v", name, plan.Faults, plan.Changes)
		}
	}
	if plan := link.Diff(link.Actual{link.VXLANv4: {Device: bridge}}, nil); plan.Changes != nil || plan.Faults != nil {
		t.Errorf("a foreign device in the way of nothing: %+v", plan)
	}
}
