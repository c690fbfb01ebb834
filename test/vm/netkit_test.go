// SPDX-License-Identifier: Apache-2.0

package vm_test

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"calico-cni/test/vm"
)

var on = flag.Bool("vm", false, "boot a virtual machine with a downloaded Debian kernel")

// guestTimeout ends a guest that hangs. It needs about a minute on two cores.
const guestTimeout = 10 * time.Minute

// TestDataPlaneOnNetkitKernel runs all tests of the data plane in a guest, with veth pairs and with netkit pairs, and
// then the plugin itself. Debian 12 and most other distributions have kernels without netkit.
func TestDataPlaneOnNetkitKernel(t *testing.T) {
	if !*on {
		t.Skip("downloads a kernel and emulates a machine: `make test-netkit`")
	}
	kernel, err := vm.Fetch(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	guest := vm.Guest{Kernel: kernel, Root: filepath.Join(t.TempDir(), "root"), Programs: []vm.Program{
		{Dir: "/linux", Args: []string{"/bin/linux.test", "-test.v"}},
		{Dir: "/linux", Args: []string{"/bin/linux.test", "-test.v", "-kind=netkit"}},
		{Dir: "/", Args: []string{"/bin/vm.test", "-test.v", "-test.run=TestAttachmentWithNetkit", "-bin=/bin"}},
	}}
	buildRoot(t, guest.Root)
	var console bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), guestTimeout)
	defer cancel()
	if err := guest.Run(ctx, io.MultiWriter(&console, os.Stdout)); err != nil {
		t.Fatal(err)
	}
	output := strings.ReplaceAll(console.String(), "\r", "")
	for _, p := range guest.Programs {
		if want := "\nguest: " + strings.Join(p.Args, " ") + " succeeded\n"; !strings.Contains(output, want) {
			t.Errorf("the guest did not print %q", want)
		}
	}
	// Only the test that needs a kernel without netkit may be skipped.
	skipped := regexp.MustCompile(`(?m)^\s*--- SKIP: (\S+)`).FindAllStringSubmatch(output, -1)
	for _, s := range slices.DeleteFunc(skipped, func(s []string) bool { return s[1] == "TestNetkitFallsBackToVeth" }) {
		t.Errorf("%s was skipped", s[1])
	}
}

// buildRoot builds the guest's files below root: its first process, tests, plugins.
func buildRoot(t *testing.T, root string) {
	t.Helper()
	for _, args := range [][]string{
		{"build", "-o", root + "/init", "./guest"},
		{"build", "-o", root + "/bin/calico", "calico-cni/cmd/calico"},
		{"build", "-o", root + "/bin/host-local", "github.com/containernetworking/plugins/plugins/ipam/host-local"},
		{"test", "-c", "-o", root + "/bin/vm.test", "."},
		{"-C", "../..", "test", "-c", "-o", root + "/bin/linux.test", "./pkg/dataplane/linux"},
	} {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	testdata := os.DirFS("../../pkg/dataplane/linux/testdata")
	if err := os.CopyFS(filepath.Join(root, "linux/testdata"), testdata); err != nil {
		t.Fatal(err)
	}
}
