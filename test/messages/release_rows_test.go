// SPDX-License-Identifier: Apache-2.0

package messages_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"calico-cni/pkg/invocation"
	"calico-cni/pkg/ipam"
	"calico-cni/pkg/nodeipam"
	"calico-cni/pkg/pending"
)

// queued makes an ADD of a container for which a release is queued.
func queued(t *testing.T, change func(*pending.Release)) outcome {
	t.Helper()
	kubeconfig := cluster(t).Kubeconfig()
	return pluginCall{
		verb: "ADD", changes: map[string]any{"kubernetes.kubeconfig": kubeconfig},
		prepare: func(t *testing.T, h invocation.Host) {
			r := pending.Release{
				Network: "net", ContainerID: containerID(t), IfName: "eth0", Node: "node-1", Kubeconfig: kubeconfig,
				Others: pending.NoOthers,
			}
			change(&r)
			must(t, pending.Queue{Dir: filepath.Join(h.Keep, "pending"), Now: time.Now}.Add(r))
		},
	}.run(t)
}

// releaseRows are the errors of queued releases, and of a container that is being deleted.
func releaseRows() []row {
	return []row{
		{
			cause: "queued release whose address another node holds", by: func(t *testing.T) outcome {
				put(t, ippool("p", "10.66.0.0/28"))
				changes := map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig(), "nodename": "node-2"}
				if a := (pluginCall{verb: "ADD", changes: changes}).call(t); a.exit != 0 {
					t.Fatal(a.stdout)
				}
				return queued(t, func(*pending.Release) {})
			}, code: 11, says: "holds [10.66.0.", remedy: "release them with calicoctl ipam release --ip=ADDRESS",
			kinds: []error{nodeipam.ErrHeld},
		},
		{
			cause: "queued release of another cluster", by: func(t *testing.T) outcome {
				other := write(t, kubeconfigFor("https://10.96.0.1", ""))
				return queued(t, func(r *pending.Release) { r.Kubeconfig = other })
			}, code: 11, says: "this cluster has no handle of the container",
			remedy: "run the DEL again with the configuration of that cluster", kinds: []error{nodeipam.ErrOtherCluster},
		},
		{
			cause: "queued release of a newer version", by: func(t *testing.T) outcome {
				return pluginCall{
					verb: "ADD", changes: map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig()},
					prepare: func(t *testing.T, h invocation.Host) {
						queue := pending.Queue{Dir: filepath.Join(h.Keep, "pending"), Now: time.Now}
						must(t, queue.Add(pending.Release{Network: "net", ContainerID: containerID(t), IfName: "eth0"}))
						files, err := filepath.Glob(filepath.Join(queue.Dir, "*.json"))
						must(t, err)
						must(t, os.WriteFile(files[0], []byte(`{"version":2}`), 0o600))
					},
				}.run(t)
			}, code: 11, says: "has version 2, want 1 at most", remedy: "install the plugins of the version that wrote it",
			kinds: []error{pending.ErrVersion},
		},
		{
			cause: "DEL that an ADD overtakes", by: func(t *testing.T) outcome {
				queue := pending.Queue{Dir: t.TempDir(), Now: time.Now}
				return of(queue.AddIf(pending.Release{Network: "net", ContainerID: "c"}, func() bool { return false }))
			}, code: 11, says: "an ADD of the same attachment has begun", remedy: "the runtime has to call DEL again",
			kinds: []error{pending.ErrSuperseded},
		},
		{
			cause: "container whose ID differs in case", by: func(t *testing.T) outcome {
				put(t, ippool("p", "10.66.0.0/28"))
				changes := map[string]any{"kubernetes.kubeconfig": cluster(t).Kubeconfig()}
				if a := (pluginCall{verb: "ADD", changes: changes}).call(t); a.exit != 0 {
					t.Fatal(a.stdout)
				}
				env := map[string]string{"CNI_CONTAINERID": strings.ToUpper(containerID(t))}
				return pluginCall{verb: "ADD", changes: changes, env: env}.run(t)
			}, code: 102, says: "of another container has the same name", remedy: "delete that container, or use another ID",
			kinds: []error{ipam.ErrHandleTaken},
		},
	}
}
