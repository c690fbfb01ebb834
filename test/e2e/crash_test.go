// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"k8s.io/client-go/tools/clientcmd"
)

// versions are two images with different plugins, and the content of each plugin.
type versions struct {
	images [2]string
	sums   map[string]bool
}

func newVersions(t *testing.T) *versions {
	t.Helper()
	v := &versions{sums: map[string]bool{}}
	for k := range v.images {
		v.images[k] = t.TempDir()
		for _, name := range []string{"calico", "calico-ipam", "portmap"} {
			data, err := os.ReadFile(filepath.Join(n.Tools, name))
			must(t, err)
			// Bytes after a program's sections change only its checksum.
			data = append(data, byte('a'+k))
			must(t, os.WriteFile(filepath.Join(v.images[k], name), data, 0o755))
			v.sums[fmt.Sprintf("%s %x", name, sha256.Sum256(data))] = true
		}
	}
	return v
}

// TestRuntimeSeesNoPartialInstallation kills installers of two versions at random times, two at a time, while a runtime
// inspects the host.
func TestRuntimeSeesNoPartialInstallation(t *testing.T) {
	installed(t)
	s, v := newSite(t), newVersions(t)
	start := time.Now()
	if exit, _, log := s.run(nil, "CNI_BIN_SOURCE="+v.images[0]); exit != 0 {
		t.Fatal(log)
	}
	took := time.Since(start)
	ctx, stop := context.WithCancel(t.Context())
	var looks atomic.Int64
	var runtimes sync.WaitGroup
	for _, look := range []func() error{
		func() error { return s.wholeBinaries(v) },
		func() error { return s.wholeConfigs() },
		func() error { return s.runnable(t.Context()) },
	} {
		runtimes.Go(func() {
			for ctx.Err() == nil {
				if err := look(); err != nil {
					t.Errorf("a runtime sees: %v", err)
					return
				}
				looks.Add(1)
			}
		})
	}
	seed := rand.Uint64()
	killed, finished := s.killInstallers(v, rand.New(rand.NewPCG(seed, 0)), 2*took)
	stop()
	runtimes.Wait()
	t.Logf("seed %d: %d installers were killed, %d finished, runtimes looked %d times; one installation took %s", seed,
		killed, finished, looks.Load(), took)
	if killed < 10 || looks.Load() < 100 {
		t.Errorf("too few runs for a result")
	}
	if exit, _, log := s.run(nil, "CNI_BIN_SOURCE="+v.images[1]); exit != 0 {
		t.Errorf("installing afterwards: exit code %d\n%s", exit, log)
	}
	if exit, out, log := s.run([]string{"status"}, "CNI_BIN_SOURCE="+v.images[1]); exit != 0 {
		t.Errorf("status afterwards: exit code %d\n%s%s", exit, out, log)
	}
	if exit, _, log := s.run([]string{"uninstall"}); exit != 0 || s.files() != "" {
		t.Errorf("uninstalling afterwards: exit code %d, left\n%s%s", exit, s.files(), log)
	}
}

// killInstallers starts pairs of installers and kills most of them at random times.
func (s *site) killInstallers(v *versions, random *rand.Rand, within time.Duration) (killed, finished int) {
	for round := range 25 {
		var pair []*exec.Cmd
		var kills []*time.Timer
		start := time.Now()
		for k := range 2 {
			cmd := s.installer(nil, "CNI_BIN_SOURCE="+v.images[(round+k)%2],
				fmt.Sprintf("CNI_MTU=%d", 1400+random.IntN(50)))
			must(s.t, cmd.Start())
			pair = append(pair, cmd)
			kills = append(kills, time.AfterFunc(time.Duration(random.Int64N(int64(within))), func() {
				_ = cmd.Process.Kill()
			}))
		}
		for k, cmd := range pair {
			_ = cmd.Wait()
			kills[k].Stop()
			if cmd.ProcessState.Exited() {
				finished++
				// The first installation may have been slower than the others.
				within = min(within, 2*time.Since(start))
			} else {
				killed++
			}
		}
	}
	return killed, finished
}

// wholeBinaries checks that each plugin is one of the versions and executable.
func (s *site) wholeBinaries(v *versions) error {
	for _, name := range []string{"calico", "calico-ipam", "portmap"} {
		f, err := os.Open(s.path("opt/cni/bin/" + name))
		if err != nil {
			return err
		}
		info, err := f.Stat()
		var data bytes.Buffer
		if err == nil {
			_, err = data.ReadFrom(f)
		}
		_ = f.Close()
		if err != nil {
			return err
		}
		if info.Mode() != 0o755 || !v.sums[fmt.Sprintf("%s %x", name, sha256.Sum256(data.Bytes()))] {
			return fmt.Errorf("%s with mode %s and %d bytes, of neither version", name, info.Mode(), data.Len())
		}
	}
	return nil
}

// wholeConfigs checks the files of the configuration directory that a runtime reads.
func (s *site) wholeConfigs() error {
	dir := s.path("etc/cni/net.d")
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	if err != nil || len(files) != 1 {
		return fmt.Errorf("configurations %q, %w", files, err)
	}
	list, err := libcni.ConfListFromFile(files[0])
	if err != nil || len(list.Plugins) != 2 {
		return fmt.Errorf("configuration %+v, %w", list, err)
	}
	config, err := clientcmd.LoadFromFile(filepath.Join(dir, "calico-kubeconfig"))
	if err != nil || config.AuthInfos["calico"].Token == "" {
		return fmt.Errorf("kubeconfig, %w", err)
	}
	return nil
}

// runnable runs a plugin like a runtime.
func (s *site) runnable(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.path("opt/cni/bin/calico"))
	cmd.Env, cmd.Stdin = []string{"CNI_COMMAND=VERSION"}, strings.NewReader(`{"cniVersion":"1.0.0"}`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run calico: %w: %s", err, out)
	}
	return nil
}

// TestInterruptedListSwitchIsCompletedByNextRun switches between two configuration lists of other plugins and kills the
// installer at random times. The next run must leave our plugin in exactly the intended list.
func TestInterruptedListSwitchIsCompletedByNextRun(t *testing.T) {
	installed(t)
	s := newSite(t)
	lists := []string{"05-a.conflist", "06-b.conflist"}
	for _, name := range lists {
		must(t, os.WriteFile(s.path("etc/cni/net.d/"+name),
			[]byte(`{"cniVersion": "1.0.0", "name": "theirs", "plugins": [{"type": "tuning"}]}`), 0o644))
	}
	if exit, _, log := s.run(nil, "CNI_CHAIN_INTO="+lists[0]); exit != 0 {
		t.Fatal(log)
	}
	start := time.Now()
	if exit, _, log := s.run(nil, "CNI_CHAIN_INTO="+lists[0]); exit != 0 {
		t.Fatal(log)
	}
	took, killed := time.Since(start), 0
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 20 {
		want := lists[(round+1)%2]
		cmd := s.installer(nil, "CNI_CHAIN_INTO="+want)
		must(t, cmd.Start())
		// The list is switched in the second half.
		kill := time.AfterFunc(took/2+time.Duration(random.Int64N(int64(took/2))), func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		kill.Stop()
		if !cmd.ProcessState.Exited() {
			killed++
		}
		if exit, _, log := s.run(nil, "CNI_CHAIN_INTO="+want); exit != 0 {
			t.Fatal(log)
		}
		for _, name := range lists {
			if has := strings.Contains(read(s.path("etc/cni/net.d/"+name)), `"calico"`); has != (name == want) {
				t.Fatalf("seed %d, round %d: our plugin is in %s: %v", seed, round, name, has)
			}
		}
	}
	t.Logf("%d of 20 were killed; one installation took %s", killed, took)
}
