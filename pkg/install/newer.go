package install

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"calico-cni/internal/buildinfo"
)

// stays returns the version of a file on the host that is not to be replaced, for an installer of a newer version wrote it;
// "" when it may be. An operator who starts an older version wants it, as in a rollback; one that has run since before the
// newer came does not know of it.
func (i *installer) stays(path string) string {
	if i.cfg.Downgrade && !i.settled {
		return ""
	}
	return i.newer(path)
}

// newer returns the version of the installer that wrote a file, when it is newer than this one, else "".
func (i *installer) newer(path string) string {
	got, err := i.sum(path)
	if err != nil {
		return ""
	}
	// Others write to the record, too.
	r, err := loadRecord(i.recordPath())
	name := i.name(path)
	if err != nil || !r.owns(name, got) {
		return ""
	}
	if wrote := r.Versions[hex.EncodeToString(got[:])]; older(buildinfo.Version, wrote) {
		return wrote
	}
	return ""
}

// between ends the version of a build that lies between two releases, as "git describe" has it. Which of two such is the
// newer, only the repository knows.
var between = regexp.MustCompile(`-[0-9]+-g[0-9a-f]+(-dirty)?$|-dirty$`)

// older says that a version is older than another, by semantic versioning 2.0. One that is no such version is neither older
// nor newer.
func older(a, b string) bool {
	if between.MatchString(a) || between.MatchString(b) {
		return false
	}
	// The package wants the v that releases may lack.
	a, b = "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	return whole(a) && whole(b) && semver.Compare(a, b) < 0
}

// whole says that a version has its three numbers. The package takes one or two as well, and then what a commit without a tag
// before it is called by, when that has digits alone: 7510558.
func whole(v string) bool { return semver.IsValid(v) && semver.Canonical(v)+semver.Build(v) == v }

// staying tells of the binaries of a directory that stay, a line each.
func (i *installer) staying(dir string, wanted []binary) (lines []string) {
	for _, b := range wanted {
		path := filepath.Join(dir, b.name)
		if _, equal := i.verified[path]; equal {
			continue
		}
		if v := i.stays(path); v != "" {
			lines = append(lines, path+" stays"+newerThan(v))
		}
	}
	return lines
}

// newerThan says of a version that it is newer, and nothing of none.
func newerThan(v string) string {
	if v == "" {
		return ""
	}
	return fmt.Sprintf(", of version %s, newer than %s", v, buildinfo.Version)
}
