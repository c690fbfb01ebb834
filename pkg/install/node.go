// SPDX-License-Identifier: Apache-2.0

package install

import (
	"cmp"
	"fmt"
	"strings"

	"calico-cni/conflist"
	"calico-cni/pkg/install/binaries"
	"calico-cni/pkg/install/config"
	"calico-cni/pkg/install/credentials"
	"calico-cni/pkg/install/fault"
	"calico-cni/pkg/install/hostfile"
	"calico-cni/pkg/install/network"
	"calico-cni/pkg/install/nodefiles"
	"calico-cni/pkg/install/preview"
	"calico-cni/pkg/install/record"
	"calico-cni/pkg/install/watch"
)

// node is the node to install on, with the parts of an installation.
type node struct {
	cfg  config.Config
	deps Deps
	at   config.Layout
	out  preview.Printer
	// notes logs conditions that are no faults, each once.
	notes *watch.Notes

	record   *record.File
	binaries *binaries.Set
	files    *nodefiles.Files
	account  *credentials.Account
	list     *network.List
	others   network.Others
}

// newNode connects the parts. It reads nothing.
func newNode(cfg config.Config, deps Deps) *node {
	n := &node{
		cfg: cfg, deps: deps, at: cfg.Layout(), out: preview.Printer{Out: deps.Out}, notes: watch.NewNotes(deps.Log),
	}
	// Validate has checked it.
	tokenAge, _ := cfg.TokenAge()
	n.record = record.New(n.at.HostRoot, n.at.NetDir(), deps.Log)
	n.binaries = binaries.New(binaries.Options{
		Image: cfg.BinSource, Skip: cfg.SkipBinaries, Dirs: n.at.BinDirs(),
		Update: cfg.UpdateBinaries, Downgrade: cfg.Downgrade, Record: n.record, Now: deps.Now, Log: deps.Log,
	})
	n.files = &nodefiles.Files{
		Enabled: cfg.NodeFiles, Dir: n.at.NodeFilesDir(), MTU: cfg.MTU, LinkMTU: deps.LinkMTU,
		Record: n.record, Log: deps.Log,
	}
	n.account = &credentials.Account{
		Server: cfg.Server(), Name: cfg.ServiceAccount, Path: n.at.Kubeconfig(), HostPath: n.at.HostKubeconfig(),
		RenewAt: tokenAge, Issuer: deps.Tokens, Files: n.record, Now: deps.Now, Spread: deps.Spread, Log: deps.Log,
	}
	n.list = network.New(network.Options{
		Dir: network.Dir(n.at.NetDir()), HostDir: cfg.NetDir, HostRoot: cfg.HostRoot,
		Name: cfg.ConfName, ChainInto: cfg.ChainInto,
		Token: n.account.Token, Record: n.record, Log: deps.Log,
	})
	n.others = network.Others{
		Dir: network.Dir(n.at.NetDir()), Own: n.list.FileName(), OldName: cfg.OldConf(),
		Exclusive: cfg.Exclusive, Log: deps.Log,
	}
	return n
}

// load reads the node's name, the template and the record.
func (n *node) load() error {
	if err := n.checkMount(); err != nil {
		return err
	}
	name, err := nodeName(n.cfg.NodeName, n.deps.Hostname)
	if err != nil {
		return err
	}
	template, err := n.cfg.Template()
	if err != nil {
		return err
	}
	n.files.SetNode(name)
	n.account.SetNode(name)
	n.list.SetContent(template, placeholders(n.cfg, name))
	n.list.SetAPIGroup(n.deps.Group.Group())
	n.record.Load()
	return nil
}

// useInstalledGroup makes the API group of an earlier installation the desired one, unless a group is configured or was
// found.
func (n *node) useInstalledGroup() {
	n.deps.Group.Use(n.list.InstalledGroup())
	n.list.SetAPIGroup(n.deps.Group.Group())
}

// checkMount returns an error unless the configuration directory is mounted.
func (n *node) checkMount() error {
	if err := hostfile.Directory(n.at.NetDir()); err != nil {
		return fmt.Errorf("find the mount of the host's %s: %w; mount it there, or set --host-root", n.cfg.NetDir, err)
	}
	return nil
}

// sweep removes stale temporary files from the configuration directory.
func (n *node) sweep() { hostfile.SweepStale(n.at.NetDir(), n.deps.Now(), n.deps.Log) }

// remover returns a remover of recorded files that logs what it does. A dry one prints what it would do.
func (n *node) remover(dry bool) *record.Remover {
	r := &record.Remover{File: n.record, Dry: dry}
	r.Report = func(what, path string) { n.deps.Log.Info(what, "path", path) }
	r.ReportLeft = func(text string) { n.deps.Log.Warn("left " + text) }
	if dry {
		r.Report = func(what, path string) { n.out.Printf("would be %s: %s\n", what, path) }
		r.ReportLeft = func(text string) { n.out.Printf("would be left: %s\n", text) }
	}
	return r
}

// nodeName returns the configured name, or else the host's name.
func nodeName(configured string, hostname func() (string, error)) (string, error) {
	if configured != "" {
		return configured, nil
	}
	name, err := hostname()
	if err != nil {
		return "", fmt.Errorf("read host name: %w; set KUBERNETES_NODE_NAME", err)
	}
	name = strings.ToLower(strings.TrimSpace(name))
	if err := config.CheckNodeName("the host's name", name); err != nil {
		return "", fmt.Errorf("%w: KUBERNETES_NODE_NAME is empty: %w", fault.ErrConfig, err)
	}
	return name, nil
}

// placeholders returns the values of the template's placeholders, without the token and the API group.
func placeholders(c config.Config, nodeName string) conflist.Values {
	return conflist.Values{
		NodeName: nodeName, Kubeconfig: c.Layout().HostKubeconfig(),
		MTU: c.MTU, RequireMTUFile: c.RequireMTUFile, AssignIPv4: c.AssignIPv4, AssignIPv6: c.AssignIPv6,
		LogLevel: c.LogLevel, LogFilePath: c.LogFilePath,
		LogFileMaxSize: c.LogFileMaxSize, LogFileMaxAge: c.LogFileMaxAge, LogFileMaxCount: c.LogFileMaxCount,
		DatastoreType: cmp.Or(c.DatastoreType, config.KubernetesDatastore),
		ServiceHost:   c.ServiceHost, ServicePort: c.ServicePort,
	}
}
