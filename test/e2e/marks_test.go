package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// marksDir has the marks of ADDs.
const marksDir = "/var/run/calico/cni/adding"

// marked returns which of some containers have a mark.
func marked(t *testing.T, containerIDs ...string) string {
	t.Helper()
	var found []string
	for _, id := range containerIDs {
		if len(marksOf(t, id)) > 0 {
			found = append(found, id)
		}
	}
	return strings.Join(found, " ")
}

// marksOf returns the marks of a container, with their content.
func marksOf(t *testing.T, containerID string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(marksDir, "*"))
	must(t, err)
	found := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(t, err)
		if strings.Contains(string(data), " "+containerID+" ") {
			found[path] = string(data)
		}
	}
	return found
}

var markTime = regexp.MustCompile(`\d{20}`)

// ageMarks makes the marks of containers those of an earlier boot.
func ageMarks(t *testing.T, containerIDs ...string) {
	t.Helper()
	for _, id := range containerIDs {
		for path, data := range marksOf(t, id) {
			must(t, os.WriteFile(path, []byte(markTime.ReplaceAllString(data, "09000000000000000000")), 0o600))
		}
	}
}

// TestGCRemovesMarksOfADDsThatNoDELFollowed has an ADD that failed and none of whose DELs came, beside a pod that runs.
func TestGCRemovesMarksOfADDsThatNoDELFollowed(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			named := map[string]any{"name": "marks-" + w.String(), "ipam.exec": w.exec}
			live, failed := newPod(t, "marks-live-"+w.String()), newPod(t, "marks-failed-"+w.String())
			attach(t, w.plugin, live, named)
			if a := ask(t, w.plugin, "ADD", failed, plus(named, "ipam.ipv4_pools", []string{"no-such-pool"})); a.Exit == 0 {
				t.Fatalf("ADD: %+v", a)
			}
			collect := func(what, want string) {
				t.Helper()
				expectOK(t, what, ask(t, w.plugin, "GC", nil, valid(named, live.ContainerID, "eth0")))
				if got := marked(t, live.ContainerID, failed.ContainerID); got != want {
					t.Errorf("%s: marks of %q, want %q", what, got, want)
				}
			}
			collect("GC at once", live.ContainerID+" "+failed.ContainerID)
			ageMarks(t, live.ContainerID, failed.ContainerID)
			collect("GC later", live.ContainerID)
			expectOK(t, "DEL", ask(t, w.plugin, "DEL", live, named))
			if got := marked(t, live.ContainerID); got != "" {
				t.Errorf("DEL left the mark of %s", got)
			}
		})
	}
}
