// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/nodefiles"
)

// dryRun prints what an installation would change, in the order of its steps. It changes nothing and requests no
// token. An error wraps fault.ErrDiffers if something would change.
func dryRun(ctx context.Context, n *node) error {
	changes := 0
	for _, s := range []struct {
		name string
		run  func(ctx context.Context, n *node) (int, error)
	}{
		{"prepare", previewCheck},
		{"install binaries", previewBinaries},
		{"provide node files", previewNodeFiles},
		{"install kubeconfig", previewKubeconfig},
		{"install network configuration", previewList},
		{"remove and move aside other network configurations", previewOthers},
	} {
		count, err := s.run(ctx, n)
		if err != nil {
			return fmt.Errorf("%s: %w%s", s.name, err, fault.Remedy(err))
		}
		changes += count
	}
	if changes > 0 {
		n.out.Printf("installing would change %d files\n", changes)
		return fmt.Errorf("%w: installing would change %d files", fault.ErrDiffers, changes)
	}
	n.out.Printf("installing would change nothing\n")
	return nil
}

// previewCheck runs the checks of an installation, with the token on the host.
func previewCheck(ctx context.Context, n *node) (int, error) {
	if err := n.load(); err != nil {
		return 0, err
	}
	if err := n.account.ReadToken(); err != nil {
		return 0, err
	}
	if err := n.list.Check(); err != nil {
		return 0, err
	}
	n.useInstalledGroup()
	if err := n.deps.Group.Find(ctx); err != nil {
		n.out.Printf("the API group of Calico's objects is not known; assuming %s: %v\n", n.deps.Group.Group(), err)
	}
	n.list.SetAPIGroup(n.deps.Group.Group())
	return 0, n.check(ctx)
}

func previewBinaries(_ context.Context, n *node) (int, error) {
	return n.binaries.Preview(n.out.Printf)
}

func previewNodeFiles(_ context.Context, n *node) (int, error) {
	files, err := n.files.Wanted()
	changes := 0
	for _, f := range files {
		count, err := n.out.File(f.Path, f.Data, nodefiles.Mode)
		if err != nil {
			return changes, err
		}
		changes += count
	}
	return changes, err
}

// previewKubeconfig does not count a new token as a change. On a node without a token it shows a placeholder.
func previewKubeconfig(_ context.Context, n *node) (int, error) {
	data, err := n.account.Render(cmp.Or(n.account.Token(), "unknown"))
	if err != nil {
		return 0, err
	}
	return n.out.File(n.account.Path, data, hostfile.SecretMode)
}

func previewList(_ context.Context, n *node) (int, error) {
	content, err := n.list.Render()
	if err != nil {
		return 0, err
	}
	return n.out.File(content.Path, content.Data, content.Mode)
}

// previewOthers prints what would happen to the configurations of earlier runs, the old one, and those of other
// programs. It prints each file once.
func previewOthers(_ context.Context, n *node) (int, error) {
	r := n.remover(true)
	if err := n.list.RemoveFormer(r); err != nil {
		return 0, err
	}
	others := 0
	would := func(path, what string) {
		if _, err := os.Lstat(path); err == nil && !r.Done(path) {
			n.out.Printf("%s would be %s: %s\n", path, what, hostfile.Describe(path))
			others++
		}
	}
	old := n.others.OldPath()
	would(old, "removed")
	rivals, err := n.others.Rivals()
	for _, path := range rivals {
		if path != old {
			would(path, "moved aside")
		}
	}
	return r.Count() + others, err
}
