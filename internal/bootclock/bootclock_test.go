// SPDX-License-Identifier: Apache-2.0

package bootclock_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"calico-cni/internal/bootclock"
)

func TestNowIsUptime(t *testing.T) {
	before := bootclock.Now()
	data, err := os.ReadFile("/proc/uptime")
	if err != nil {
		t.Fatal(err)
	}
	after := bootclock.Now()
	first, _, _ := strings.Cut(string(data), " ")
	seconds, err := strconv.ParseFloat(first, 64)
	if err != nil {
		t.Fatal(err)
	}
	// The file has a resolution of 10 ms, rounded down.
	uptime := time.Duration(seconds * float64(time.Second))
	if uptime+10*time.Millisecond < before || uptime > after {
		t.Errorf("uptime %v is not between %v and %v", uptime, before, after)
	}
}
