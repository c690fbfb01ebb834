// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tick100 is the unit of CPU times in /proc in milliseconds, which is the same on every platform (proc(5)).
const tick100 = 10

// clock is the CPU time used until now, in milliseconds.
type clock struct {
	at time.Time
	// server is that of the API server with etcd, plugins that of the finished child processes, own that of this
	// process, and machine that of everything including the kernel.
	server, plugins, own, machine float64
}

// clock reads the clock.
func (b *bench) clock() clock {
	b.Helper()
	return clock{
		at: time.Now(), server: serverCPU(b.T, b.node.Server.PID()), machine: machineCPU(b.T),
		plugins: usage(b.T, syscall.RUSAGE_CHILDREN), own: usage(b.T, syscall.RUSAGE_SELF),
	}
}

// since returns the CPU time between two readings, and the elapsed time in milliseconds.
func (c clock) since(before clock) (spent clock, elapsed float64) {
	return clock{
		server: c.server - before.server, plugins: c.plugins - before.plugins, own: c.own - before.own,
		machine: c.machine - before.machine,
	}, ms(c.at.Sub(before.at))
}

// others returns the CPU time of other processes and of unattributed kernel work.
func (c clock) others() float64 { return max(0, c.machine-c.server-c.plugins-c.own) }

func serverCPU(t *testing.T, pid int) float64 {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	must(t, err)
	// The name, in parentheses, may contain spaces. utime and stime are fields 14 and 15, the 12th and 13th after the
	// name.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	return tick100 * (number(t, fields[11]) + number(t, fields[12]))
}

func machineCPU(t *testing.T) float64 {
	t.Helper()
	data, err := os.ReadFile("/proc/stat")
	must(t, err)
	fields := strings.Fields(string(data))
	sum := 0.0
	for i, text := range fields[1:9] {
		if idle := i == 3 || i == 4; !idle {
			sum += number(t, text)
		}
	}
	return tick100 * sum
}

func usage(t *testing.T, who int) float64 {
	t.Helper()
	var r syscall.Rusage
	must(t, syscall.Getrusage(who, &r))
	return ms(time.Duration(r.Utime.Nano() + r.Stime.Nano()))
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	var n float64
	_, err := fmt.Sscan(text, &n)
	must(t, err)
	return n
}

// memory returns the memory size of the machine.
func memory(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/meminfo")
	must(t, err)
	var kB float64
	_, err = fmt.Sscanf(string(data), "MemTotal: %f kB", &kB)
	must(t, err)
	return fmt.Sprintf("%.0f GB", kB/1e6)
}

// kernel returns the kernel version without the suffix of the distribution.
func kernel(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/sys/kernel/osrelease")
	must(t, err)
	version, _, _ := strings.Cut(strings.TrimSpace(string(data)), "-")
	return version
}

// quiet reports whether the load average is low enough for measurements.
func quiet(loadavg string) bool {
	var one float64
	_, err := fmt.Sscan(loadavg, &one)
	return err == nil && one < float64(runtime.NumCPU())/4
}
