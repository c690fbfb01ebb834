// SPDX-License-Identifier: Apache-2.0

package adding_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"calico-cni/internal/adding"
)

// TestMarksOfTwoPluginsAreTakenTogether has calico run calico-ipam for its ADD.
func TestMarksOfTwoPluginsAreTakenTogether(t *testing.T) {
	marks, clock := clocked(t)
	nested := func(ipam, main bool) {
		t.Helper()
		endMain := begin(t, marks)
		endIPAM, err := marks.Begin(key, adding.IPAM)
		if err != nil {
			t.Fatal(err)
		}
		endIPAM(ipam)
		expect(t, "calico-ipam has ended", marks, adding.Active)
		*clock += time.Minute
		endMain(main)
	}
	nested(true, true)
	expect(t, "both succeeded", marks, adding.Succeeded)
	if !marks.Since(key, *clock) || marks.Since(key, *clock+1) {
		t.Error("the time is not that of the later mark")
	}
	marks.Forget(key, adding.IPAM)
	expect(t, "that of calico-ipam is forgotten", marks, adding.Succeeded)
	nested(true, false)
	expect(t, "calico failed", marks, adding.Interrupted)
	marks.Forget(key, adding.Main, adding.IPAM)
	expect(t, "both are forgotten", marks, adding.None)
	nested(false, true)
	expect(t, "calico-ipam failed", marks, adding.Interrupted)
	marks.Forget(key, adding.Main)
	expect(t, "that of calico is forgotten", marks, adding.Interrupted)
}

// left returns the containers whose marks are there, and files that are no marks.
func left(t *testing.T, marks adding.Marks) string {
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

func TestSweepRemovesOldMarksOfContainersThatAreGone(t *testing.T) {
	marks, clock := clocked(t)
	mark := func(network, containerID string, plugin adding.Plugin) (end func(bool)) {
		t.Helper()
		end, err := marks.Begin(adding.Key{Network: network, ContainerID: containerID, IfName: "eth0"}, plugin)
		if err != nil {
			t.Fatal(err)
		}
		return end
	}
	mark("net", "gone", adding.Main)(true)
	mark("net", "gone", adding.IPAM)(true)
	mark("net", "failed", adding.Main)(false)
	mark("net", "live", adding.Main)(true)
	mark("other", "gone", adding.Main)(true)
	running := mark("net", "running", adding.Main)
	put(t, marks, "torn", "2 adding 000")
	put(t, marks, "before", "1 succeeded 00000000000000000007 1\n")
	put(t, marks, "later", "3 succeeded 7 net gone eth0\n")
	sweep := func(what, want string) {
		t.Helper()
		marks.Sweep("net", func(k adding.Key) bool { return k.ContainerID == "live" })
		if got := left(t, marks); got != want {
			t.Errorf("%s: left %q, want %q", what, got, want)
		}
	}
	*clock += 5 * time.Minute
	mark("net", "young", adding.Main)(false)
	*clock += 5*time.Minute - 1
	sweep("before ten minutes", "-/-/- -/-/- later net/failed/eth0 net/gone/eth0 net/gone/eth0 net/live/eth0 "+
		"net/running/eth0 net/young/eth0 other/gone/eth0")
	*clock++
	sweep("after ten minutes", "-/-/- -/-/- later net/live/eth0 net/running/eth0 net/young/eth0 other/gone/eth0")
	*clock += 10 * time.Minute
	sweep("ten minutes after the first sweep", "later net/live/eth0 net/running/eth0 other/gone/eth0")
	running(false)
	sweep("just after the ADD has ended", "later net/live/eth0 net/running/eth0 other/gone/eth0")
	*clock -= 15 * time.Minute
	sweep("after a reboot that kept the directory", "later net/live/eth0 other/gone/eth0")
}

func put(t *testing.T, marks adding.Marks, name, data string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(marks.Dir, name), []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEndedReturnsInterruptedAdds(t *testing.T) {
	marks, _ := clocked(t)
	for i, k := range []adding.Key{{"net", "a", "eth0"}, {"net", "a", "net1"}, {"other", "a", "eth0"}, {"net", "b", "eth0"}} {
		for _, plugin := range []adding.Plugin{adding.Main, adding.IPAM} {
			end, err := marks.Begin(k, plugin)
			if err != nil {
				t.Fatal(err)
			}
			// The ADD of b is running.
			if k.ContainerID != "b" || plugin == adding.IPAM {
				end(i == 0)
			}
		}
	}
	got := marks.Ended("net")
	slices.SortFunc(got, func(a, b adding.Key) int { return strings.Compare(a.IfName, b.IfName) })
	if want := "[{net a eth0} {net a net1}]"; fmt.Sprint(got) != want {
		t.Errorf("ended: %v, want %s", got, want)
	}
}

// TestMarkIsNeverLostToSweep has ADDs begin while a GC sweeps marks that are old at once: a running ADD is seen every
// time.
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
				late.Sweep("net", func(adding.Key) bool { return false })
			}
		}
	})
	for range 2000 {
		end := begin(t, marks)
		expect(t, "while marks are swept", marks, adding.Active)
		end(true)
	}
	close(stop)
	sweeping.Wait()
}
