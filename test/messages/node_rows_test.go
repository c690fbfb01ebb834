// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"calico-cni/internal/hostlock"
	"calico-cni/internal/safeopen"
	"calico-cni/pkg/invocation"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
)

func nodeRows() []row {
	return []row{
		{
			cause:  "no nodename file",
			by:     configured("nodename_file_optional", false),
			code:   11,
			says:   "nodename does not exist",
			remedy: "set nodename_file_optional",
			kinds:  []error{invocation.ErrNodeNotReady},
		},
		{
			cause: "nodename is a FIFO", by: func(t *testing.T) outcome {
				path := filepath.Join(t.TempDir(), "nodename")
				must(t, syscall.Mkfifo(path, 0o600))
				return configured("nodename_file_optional", false, "nodename_file", path)(t)
			}, code: 11, says: "is a FIFO", remedy: "remove it", kinds: []error{
				invocation.ErrNodeNotReady,
				safeopen.ErrNotRegular,
			},
		},
		{
			cause: "node name that is invalid for objects", by: func(t *testing.T) outcome {
				return configured("nodename", "a/b", "kubernetes.kubeconfig", cluster(t).Kubeconfig())(t)
			}, code: 7, says: `nodename: "a/b"`, remedy: "want lower-case letters",
		},
		{
			cause: "STATUS without nodename file", by: func(t *testing.T) outcome {
				return pluginCall{verb: "STATUS", changes: map[string]any{"nodename_file_optional": false}}.run(t)
			}, code: 50, says: "nodename does not exist", remedy: "set nodename_file_optional",
			kinds: []error{nodeipam.ErrCannotAdd},
		},
		{
			cause: "lock is held", by: func(t *testing.T) outcome {
				path := filepath.Join(t.TempDir(), "lock")
				unlock, err := hostlock.Try(path)
				must(t, err)
				defer unlock()
				_, err = hostlock.Within(0, path)
				return of(err)
			}, code: 11, says: "held by others", remedy: "wait", kinds: []error{hostlock.ErrBusy},
		},
		{
			cause: "lock file is a symbolic link", by: func(t *testing.T) outcome {
				path := filepath.Join(t.TempDir(), "lock")
				must(t, os.Symlink("/etc/shadow", path))
				_, err := hostlock.Try(path)
				return of(err)
			}, code: 100, says: "is a symbolic link", remedy: "remove it", kinds: []error{safeopen.ErrNotRegular},
		},
		{
			cause: "queue full", by: func(t *testing.T) outcome {
				return pluginCall{verb: "DEL", changes: map[string]any{"kubernetes.kubeconfig": "/none"}, prepare: fill}.run(t)
			}, code: 11, says: "wait in", remedy: "check that it runs", kinds: []error{pending.ErrFull},
		},
		{
			cause: "queue is a file", by: func(t *testing.T) outcome {
				return pluginCall{
					verb:    "ADD",
					changes: map[string]any{"kubernetes.kubeconfig": write(t, kubeconfigFor("https://10.96.0.1", ""))},
					prepare: func(t *testing.T, h invocation.Host) {
						must(t, os.MkdirAll(h.Keep, 0o755))
						must(t, os.WriteFile(filepath.Join(h.Keep, "pending"), nil, 0o600))
					},
				}.run(t)
			}, code: 104, says: "keep/pending is not a directory", remedy: "remove it, so that a directory can be created",
		},
		{
			cause: "state is a file", by: func(t *testing.T) outcome {
				// The ADD continues and finds that the cluster has no pool.
				return pluginCall{
					verb:    "ADD",
					changes: map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig()},
					prepare: func(t *testing.T, h invocation.Host) { must(t, os.WriteFile(h.State, nil, 0o600)) },
				}.run(t)
			}, code: 11, says: "there is no IPv4 pool", remedy: "create an IPPool", not: "remove record",
		},
		{
			cause: "release cannot be queued", by: func(t *testing.T) outcome {
				return pluginCall{
					verb:    "DEL",
					changes: map[string]any{"kubernetes.kubeconfig": "/none"},
					prepare: func(t *testing.T, h invocation.Host) {
						must(t, os.WriteFile(h.Keep, nil, 0o600))
					},
				}.run(
					t,
				)
			}, code: 11, says: "/none", remedy: "queue",
		},
	}
}

// fill fills the release queue.
func fill(t *testing.T, h invocation.Host) {
	dir := filepath.Join(h.Keep, "pending")
	must(t, os.MkdirAll(dir, 0o700))
	for n := range 4096 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%064x.json", n)), []byte(strconv.Itoa(n)), 0o600))
	}
}
