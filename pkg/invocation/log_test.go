// SPDX-License-Identifier: Apache-2.0

package invocation

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"calico-cni/pkg/netconf"
)

func TestLogStartsWithConfigurationWarnings(t *testing.T) {
	conf, err := netconf.Parse([]byte(`{"name": "n", "type": "calico", "log_level": "loud", "num_queues": -1,
		"ipam": {"type": "calico-ipam"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	log := LogTo(&stderr, time.Now)(conf)
	log.Info("ADD done")
	log.Debug("not at the default level")
	got := regexp.MustCompile(`(?m)^time=\S+ `).ReplaceAllString(stderr.String(), "")
	want := `level=WARN msg="configuration field has no valid value" field=log_level value="\"loud\"" ` +
		`advice="want \"debug\", \"info\", \"warning\" or \"error\"; using \"info\""
level=WARN msg="configuration field has no valid value" field=num_queues value=-1 advice="want 1 to 4096; using 1"
level=INFO msg="ADD done"
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
