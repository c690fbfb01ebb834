// SPDX-License-Identifier: Apache-2.0

package cnierr_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"calico-cni/internal/hostlock"
	"calico-cni/pkg/cnierr"
	"calico-cni/pkg/dataplane"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/ipam/pool"
	"calico-cni/pkg/kube"
	"calico-cni/pkg/kubeapi"
	"calico-cni/pkg/netconf"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
	"calico-cni/pkg/workload"
)

// table has every sentinel of the packages that cnierr maps, with its code.
var table = []struct {
	name string
	err  error
	code uint
}{
	{"netconf.ErrDecode", netconf.ErrDecode, 6},
	{"netconf.ErrInvalid", netconf.ErrInvalid, 7},
	{"netconf.ErrUnsupported", netconf.ErrUnsupported, 2},
	{"netconf.ErrAnnotation", netconf.ErrAnnotation, 7},
	{"workload.ErrInvalidArgs", workload.ErrInvalidArgs, 4},
	{"dataplane.ErrNoNetNS", dataplane.ErrNoNetNS, 4},
	{"dataplane.ErrHostNetNS", dataplane.ErrHostNetNS, 4},
	{"dataplane.ErrIfNameTaken", dataplane.ErrIfNameTaken, 4},
	{"dataplane.ErrNoIPv6", dataplane.ErrNoIPv6, 102},
	{"dataplane.ErrDenied", dataplane.ErrDenied, 104},
	{"dataplane.ErrSpec", dataplane.ErrSpec, 7},
	{"dataplane.ErrBroken", dataplane.ErrBroken, 103},
	{"dataplane.ErrRouteConflict", dataplane.ErrRouteConflict, 11},
	{"kube.ErrKubeconfig", kube.ErrKubeconfig, 5},
	{"kubeapi.ErrNotFound", kubeapi.ErrNotFound, 11},
	{"kubeapi.ErrExists", kubeapi.ErrExists, 11},
	{"kubeapi.ErrConflict", kubeapi.ErrConflict, 11},
	{"kubeapi.ErrUnauthorized", kubeapi.ErrUnauthorized, 11},
	{"kubeapi.ErrForbidden", kubeapi.ErrForbidden, 101},
	{"kubeapi.ErrInvalid", kubeapi.ErrInvalid, 101},
	{"kubeapi.ErrRefused", kubeapi.ErrRefused, 101},
	{"kubeapi.ErrUnavailable", kubeapi.ErrUnavailable, 11},
	{"kubeapi.ErrNotServed", kubeapi.ErrNotServed, 11},
	{"kubeapi.ErrMalformed", kubeapi.ErrMalformed, 101},
	{"ipam.ErrNotFound", ipam.ErrNotFound, 11},
	{"ipam.ErrExists", ipam.ErrExists, 11},
	{"ipam.ErrConflict", ipam.ErrConflict, 11},
	{"ipam.ErrContended", ipam.ErrContended, 11},
	{"ipam.ErrReleased", ipam.ErrReleased, 11},
	{"ipam.ErrHandleTaken", ipam.ErrHandleTaken, 102},
	{"ipam.ErrNotReady", ipam.ErrNotReady, 11},
	{"ipam.ErrNoAddress", ipam.ErrNoAddress, 11},
	{"ipam.ErrAddrTaken", ipam.ErrAddrTaken, 102},
	{"ipam.ErrAddrCooling", ipam.ErrAddrCooling, 11},
	{"ipam.ErrBorrowForbidden", ipam.ErrBorrowForbidden, 102},
	{"ipam.ErrMalformed", ipam.ErrMalformed, 101},
	{"pool.ErrUnknownPool", pool.ErrUnknownPool, 102},
	{"pool.ErrInvalid", pool.ErrInvalid, 101},
	{"nodeipam.ErrNoFamily", nodeipam.ErrNoFamily, 7},
	{"invocation.ErrNodeNotReady", invocation.ErrNodeNotReady, 11},
	{"nodeipam.ErrCannotAdd", nodeipam.ErrCannotAdd, 50},
	{"nodeipam.ErrNotHeld", nodeipam.ErrNotHeld, 103},
	{"dataplane.ErrBroken", dataplane.ErrBroken, 103},
	{"dataplane.ErrPodsCutOff", dataplane.ErrPodsCutOff, 51},
	{"pending.ErrFull", pending.ErrFull, 11},
	{"pending.ErrSuperseded", pending.ErrSuperseded, 11},
	{"pending.ErrVersion", pending.ErrVersion, 11},
	{"nodeipam.ErrHeld", nodeipam.ErrHeld, 11},
	{"nodeipam.ErrOtherCluster", nodeipam.ErrOtherCluster, 11},
	{"hostlock.ErrBusy", hostlock.ErrBusy, 11},
}

func TestCodesOfSentinels(t *testing.T) {
	for _, row := range table {
		for how, err := range map[string]error{
			"as it is":                row.err,
			"wrapped":                 fmt.Errorf("add pod: %w: deeper: %w", errors.New("why"), row.err),
			"joined to an unknown":    errors.Join(errors.New("undo"), row.err),
			"joined to a retryable":   errors.Join(fmt.Errorf("undo: %w", kubeapi.ErrUnavailable), row.err),
			"joined to its own twice": errors.Join(row.err, fmt.Errorf("twice: %w", row.err)),
		} {
			got := cnierr.From(err)
			if got.Code != row.code || got.Msg != err.Error() || got.Details != "" {
				t.Errorf("%s %s: code %d, want %d; message %q, want %q",
					row.name, how, got.Code, row.code, got.Msg, err)
			}
		}
	}
}

func TestCodesOfOtherErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		code uint
	}{
		{"of unknown kind", errors.New("write sysctl"), 100},
		{"deadline passed", fmt.Errorf("await link: %w", context.DeadlineExceeded), 11},
		{"interrupted", fmt.Errorf("await link: %w", context.Canceled), 11},
		{"kubeconfig not written yet", fmt.Errorf("%w /k: %w", kube.ErrKubeconfig, fs.ErrNotExist), 11},
		{"unreadable kubeconfig", fmt.Errorf("%w /k: %w", kube.ErrKubeconfig, fs.ErrPermission), 5},
		{"state directory not writable", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EACCES}, 104},
		{"state directory read-only", &fs.PathError{Op: "open", Path: "/x", Err: syscall.EROFS}, 104},
		{"file in the place of a state directory", fmt.Errorf("lock: %w", syscall.ENOTDIR), 104},
		{"netlink refuses", fmt.Errorf("create pair: %w", syscall.EPERM), 104},
		{"connection that the firewall refuses", fmt.Errorf("%w: %w", kubeapi.ErrUnavailable, syscall.EPERM), 11},
		{"route to another interface", &dataplane.RouteConflictError{Cause: dataplane.OtherInterface}, 11},
		{"address of the host", &dataplane.RouteConflictError{Cause: dataplane.OwnAddress}, 11},
		{
			"requested address of the host",
			fmt.Errorf("%w: %w", ipam.ErrAddrTaken, &dataplane.RouteConflictError{Cause: dataplane.OwnAddress}), 102,
		},
		{"route that refuses", &dataplane.RouteConflictError{Cause: dataplane.Refusal}, 11},
		{"routing rule", &dataplane.RouteConflictError{Cause: dataplane.RoutingRule}, 104},
		{"routes are removed", &dataplane.RouteConflictError{Cause: dataplane.NoRoute}, 104},
		{"file missing otherwise", fmt.Errorf("open: %w", fs.ErrNotExist), 100},
		{"pools without addresses", &ipam.NoAddressError{}, 11},
		{"field of the configuration", &netconf.FieldError{Kind: netconf.ErrUnsupported}, 2},
	} {
		if got := cnierr.From(c.err).Code; got != c.code {
			t.Errorf("%s: code %d, want %d", c.name, got, c.code)
		}
	}
}

// TestPermanentErrorDeterminesCodeOfJoinedErrors joins pairs of errors. The first determines the code in either order.
func TestPermanentErrorDeterminesCodeOfJoinedErrors(t *testing.T) {
	for _, pair := range [][2]error{
		{netconf.ErrDecode, netconf.ErrInvalid},
		{netconf.ErrInvalid, netconf.ErrUnsupported},
		{netconf.ErrUnsupported, workload.ErrInvalidArgs},
		{workload.ErrInvalidArgs, kubeapi.ErrForbidden},
		{dataplane.ErrIfNameTaken, kube.ErrKubeconfig},
		{kube.ErrKubeconfig, ipam.ErrMalformed},
		{kubeapi.ErrForbidden, ipam.ErrAddrTaken},
		{pool.ErrInvalid, pool.ErrUnknownPool},
		{ipam.ErrAddrTaken, ipam.ErrConflict},
		{netconf.ErrAnnotation, context.Canceled},
		{dataplane.ErrNoIPv6, context.Canceled},
	} {
		want := cnierr.From(pair[0]).Code
		for _, err := range []error{errors.Join(pair[0], pair[1]), fmt.Errorf("%w: %w", pair[1], pair[0])} {
			if got := cnierr.From(err).Code; got != want {
				t.Errorf("%q: code %d, want %d", err, got, want)
			}
		}
		if other := cnierr.From(pair[1]).Code; other == want {
			t.Errorf("%v and %v both have code %d: this pair proves nothing", pair[0], pair[1], want)
		}
	}
}

// TestTableHasEverySentinel reads the source of the packages that cnierr imports. The table must have exactly their
// exported variables Err….
func TestTableHasEverySentinel(t *testing.T) {
	var declared, listed []string
	for _, pkg := range mapped(t) {
		declared = append(declared, sentinels(t, pkg)...)
	}
	for _, row := range table {
		listed = append(listed, row.name)
	}
	for _, name := range declared {
		if !slices.Contains(listed, name) {
			t.Errorf("%s has no row in the table: decide on its code", name)
		}
	}
	for _, name := range listed {
		if !slices.Contains(declared, name) {
			t.Errorf("%s is in the table, but in none of the packages that cnierr maps", name)
		}
	}
}

const module = "calico-cni/"

// mapped returns the packages of this module that cnierr imports, relative to the module's root.
func mapped(t *testing.T) (pkgs []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "cnierr.go", nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if pkg, ours := strings.CutPrefix(name, module); ours {
			pkgs = append(pkgs, pkg)
		}
	}
	return pkgs
}

// sentinels returns the exported variables Err… of a package, as package.Name.
func sentinels(t *testing.T, pkg string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", pkg, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of %s: %v", pkg, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			names = append(names, errorsIn(decl, path.Base(pkg))...)
		}
	}
	return names
}

func errorsIn(decl ast.Decl, pkg string) (names []string) {
	vars, ok := decl.(*ast.GenDecl)
	if !ok || vars.Tok != token.VAR {
		return nil
	}
	for _, spec := range vars.Specs {
		for _, name := range spec.(*ast.ValueSpec).Names {
			if strings.HasPrefix(name.Name, "Err") {
				names = append(names, pkg+"."+name.Name)
			}
		}
	}
	return names
}
