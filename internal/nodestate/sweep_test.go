// SPDX-License-Identifier: Apache-2.0

package nodestate_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calico-cni/internal/nodestate"
)

// TestStateCombinesTheMarksOfBothPlugins runs calico-ipam as a process of the ADD of calico.
func TestStateCombinesTheMarksOfBothPlugins(t *testing.T) {
	marks, clock := clocked(t)
	nested := func(ipam, main bool) {
		t.Helper()
		endMain := begin(t, marks)
		endIPAM, err := marks.Begin(testKey, nodestate.IPAM)
		if err != nil {
			t.Fatal(err)
		}
		endIPAM(ipam)
		expect(t, "calico-ipam has ended", marks, nodestate.Active)
		*clock += time.Minute
		endMain(main)
	}
	nested(true, true)
	expect(t, "both succeeded", marks, nodestate.Succeeded)
	if !marks.Since(testKey, *clock) || marks.Since(testKey, *clock+1) {
		t.Error("the time is not that of the later mark")
	}
	marks.Forget(testKey, nodestate.IPAM)
	expect(t, "the mark of calico-ipam is removed", marks, nodestate.Succeeded)
	nested(true, false)
	expect(t, "calico failed", marks, nodestate.Interrupted)
	marks.Forget(testKey, nodestate.Main, nodestate.IPAM)
	expect(t, "both are removed", marks, nodestate.Unmarked)
	nested(false, true)
	expect(t, "calico-ipam failed", marks, nodestate.Interrupted)
	marks.Forget(testKey, nodestate.Main)
	expect(t, "the mark of calico is removed", marks, nodestate.Interrupted)
}

// left returns the attachments that have marks, and the names of other files.
func left(t *testing.T, marks nodestate.Marks) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(marks.Dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if fields := strings.Fields(string(data)); len(fields) == 7 {
			names = append(names, fields[4]+"/"+fields[5]+"/"+fields[6])
		} else {
			names = append(names, filepath.Base(file))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestSweepRemovesOldMarksOfDeletedContainers(t *testing.T) {
	marks, clock := clocked(t)
	mark := func(network, containerID string, plugin nodestate.Plugin) (end func(bool)) {
		t.Helper()
		end, err := marks.Begin(nodestate.Key{Network: network, ContainerID: containerID, IfName: "eth0"}, plugin)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	mark("net", "gone", nodestate.Main)(true)
	mark("net", "gone", nodestate.IPAM)(true)
	mark("net", "failed", nodestate.Main)(false)
	mark("net", "live", nodestate.Main)(true)
	mark("other", "gone", nodestate.Main)(true)
	running := mark("net", "running", nodestate.Main)
	put(t, marks, "torn", "1 adding 000")
	put(t, marks, "empty", "")
	put(t, marks, "newer-version", "2 succeeded 7 net gone eth0\n")
	sweep := func(what, want string) {
		t.Helper()
		marks.Sweep("net", func(k nodestate.Key) bool { return k.ContainerID == "live" })
		if got := left(t, marks); got != want {
			t.Errorf("%s: left %q, want %q", what, got, want)
		}
	}
	*clock += 5 * time.Minute
	mark("net", "young", nodestate.Main)(false)
	*clock += 5*time.Minute - 1
	sweep("before ten minutes", "-/-/- -/-/- net/failed/eth0 net/gone/eth0 net/gone/eth0 net/live/eth0 "+
		"net/running/eth0 net/young/eth0 newer-version other/gone/eth0")
	*clock++
	sweep("after ten minutes", "-/-/- -/-/- net/live/eth0 net/running/eth0 net/young/eth0 newer-version other/gone/eth0")
	*clock += 10 * time.Minute
	sweep("ten minutes after the first sweep", "net/live/eth0 net/running/eth0 newer-version other/gone/eth0")
	running(false)
	sweep("just after the ADD has ended", "net/live/eth0 net/running/eth0 newer-version other/gone/eth0")
	*clock -= 15 * time.Minute
	sweep("after a reboot that kept the directory", "net/live/eth0 newer-version other/gone/eth0")
}

func put(t *testing.T, marks nodestate.Marks, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(marks.Dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEndedReturnsInterruptedAdds(t *testing.T) {
	marks, _ := clocked(t)
	for i, k := range []nodestate.Key{
		{"net", "a", "eth0"}, {"net", "a", "net1"}, {"other", "a", "eth0"}, {"net", "b", "eth0"},
	} {
		for _, plugin := range []nodestate.Plugin{nodestate.Main, nodestate.IPAM} {
			end, err := marks.Begin(k, plugin)
			if err != nil {
				t.Fatal(err)
			}
			// The ADD of b is running.
			if k.ContainerID != "b" || plugin == nodestate.IPAM {
				end(i == 0)
			}
		}
	}
	got := marks.Ended("net")
	slices.SortFunc(got, func(a, b nodestate.Key) int { return strings.Compare(a.IfName, b.IfName) })
	if want := "[{net a eth0} {net a net1}]"; fmt.Sprint(got) != want {
		t.Errorf("ended: %v, want %s", got, want)
	}
}

// TestMarkIsNeverLostToSweep begins ADDs while a GC removes all marks as old: each running ADD has a mark.
func TestMarkIsNeverLostToSweep(t *testing.T) {
	marks := marksIn(t.TempDir())
	late := marks
	late.Boot = func() time.Duration { return marks.Boot() + time.Hour }
	stop := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				late.Sweep("net", func(nodestate.Key) bool { return false })
			}
		}
	})
	for range 2000 {
		end := begin(t, marks)
		expect(t, "while marks are swept", marks, nodestate.Active)
		end(true)
	}
	close(stop)
	sweeping.Wait()
}
