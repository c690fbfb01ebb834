// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestControllersAreReadFromMounts(t *testing.T) {
	const mounts = `tmpfs /sys/fs/cgroup tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/systemd cgroup rw,name=systemd 0 0
cgroup /elsewhere/memory cgroup rw,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
`
	if diff := cmp.Diff([]string{"memory", "cpu,cpuacct", "systemd"}, controllers([]byte(mounts))); diff != "" {
		t.Error(diff)
	}
}

func TestOwnPathIsFoundByNameOfMount(t *testing.T) {
	const own = `9:name=systemd:/a
8:cpu,cpuacct:/b/c
4:memory:/d:e
0::/
`
	got := ownPaths([]byte(own))
	for name, want := range map[string]string{"systemd": "/a", "cpu,cpuacct": "/b/c", "cpu": "/b/c", "memory": "/d:e"} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}
