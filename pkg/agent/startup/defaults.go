// SPDX-License-Identifier: Apache-2.0

package startup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// Object is an object of Calico's API group that start-up creates.
type Object struct {
	Plural, Kind, Name string
	// Spec is encoded as JSON.
	Spec any
}

// API is the API server as the default objects need it.
type API interface {
	// Create creates an object unless one with its name exists.
	Create(ctx context.Context, o Object) error
	// Pools returns the CIDRs of the pools. It omits those that are not valid.
	Pools(ctx context.Context) ([]netip.Prefix, error)
	// Kubeadm returns the ClusterConfiguration of kubeadm, or "" if kubeadm did not create the cluster.
	Kubeadm(ctx context.Context) (string, error)
}

// Defaults creates the default objects of a cluster that do not exist.
type Defaults struct {
	API API
	Env map[string]string
	// V3 says that the API group is projectcalico.org/v3.
	V3 bool
	// IPv6 says that the node has IPv6.
	IPv6 bool
	// Random is a source of random bytes.
	Random io.Reader
}

// Create creates the objects. node is the IPv4 address of the node with its prefix length, if it has one. Several nodes
// may create the same objects at once, because the names are fixed. An error with one object does not stop the others.
func (d Defaults) Create(ctx context.Context, node netip.Prefix) error {
	random := make([]byte, guidBytes)
	if _, err := io.ReadFull(d.Random, random); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	var errs []error
	for _, o := range defaultObjects(d.V3, d.Env["CLUSTER_TYPE"], hex.EncodeToString(random)) {
		errs = append(errs, d.API.Create(ctx, o))
	}
	return errors.Join(append(errs, d.createPools(ctx, node, [5]byte(random)))...)
}

const guidBytes = 16

func (d Defaults) createPools(ctx context.Context, node netip.Prefix, globalID [5]byte) error {
	existing, err := d.API.Pools(ctx)
	if err != nil {
		return err
	}
	in := PoolInputs{Env: d.Env, Existing: existing, Node: node, IPv6: d.IPv6, GlobalID: globalID}
	if in.NeedsKubeadm() {
		if in.Kubeadm, err = d.API.Kubeadm(ctx); err != nil {
			return err
		}
	}
	pools, err := DefaultPools(in)
	errs := []error{err}
	for _, p := range pools {
		errs = append(errs, d.API.Create(ctx, Object{"ippools", "IPPool", p.Name, p.Spec}))
	}
	return errors.Join(errs...)
}

// defaultObjects returns the default objects apart from pools. guid identifies the cluster.
func defaultObjects(v3 bool, clusterType, guid string) []Object {
	types := []string{"k8s", "kdd"}
	for part := range strings.SplitSeq(clusterType, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(types, part) {
			types = append(types, part)
		}
	}
	ipamConfig := Object{"ipamconfigs", "IPAMConfig", "default", nil}
	if v3 {
		ipamConfig.Plural, ipamConfig.Kind = "ipamconfigurations", "IPAMConfiguration"
	}
	ipamConfig.Spec = map[string]any{
		"strictAffinity": false, "autoAllocateBlocks": true, "kubeVirtVMAddressPersistence": "Enabled",
	}
	tier := func(name string, order int, action string) Object {
		return Object{"tiers", "Tier", name, map[string]any{"order": order, "defaultAction": action}}
	}
	return []Object{
		tier("default", 1_000_000, "Deny"),
		tier("kube-admin", 1_000, "Pass"),
		tier("kube-baseline", 10_000_000, "Pass"),
		{"felixconfigurations", "FelixConfiguration", "default", map[string]any{
			"floatingIPs": "Disabled", "logSeverityScreen": "Info", "reportingInterval": "0s",
		}},
		ipamConfig,
		{"clusterinformations", "ClusterInformation", "default", map[string]any{
			"clusterGUID": guid, "clusterType": strings.Join(types, ","), "datastoreReady": true,
		}},
	}
}
