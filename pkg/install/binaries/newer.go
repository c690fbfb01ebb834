// SPDX-License-Identifier: Apache-2.0

package binaries

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"calico-cni/internal/buildinfo"
)

// keeps returns the version of the installer that wrote a file if the file must stay because that version is newer than
// this one. Otherwise it returns "".
func (s *Set) keeps(path string) string {
	if s.Downgrade {
		return ""
	}
	return s.newer(path)
}

// newer returns the version of the installer that wrote a file if it is newer than this one, else "".
func (s *Set) newer(path string) string {
	sum, err := s.digests.sum(path)
	if err != nil {
		return ""
	}
	if version := s.Record.WrittenBy(path, sum); older(buildinfo.Version, version) {
		return version
	}
	return ""
}

// kept describes the binaries of a directory that are kept because a newer version wrote them.
func (s *Set) kept(dir string, wanted []binary) (lines []string) {
	for _, b := range wanted {
		path := filepath.Join(dir, b.name)
		if s.digests.wasEqual(path) {
			continue
		}
		if version := s.keeps(path); version != "" {
			lines = append(lines, fmt.Sprintf("%s is kept: version %s is newer than %s", path, version, buildinfo.Version))
		}
	}
	return lines
}

// newerThan describes a newer version. It returns "" for "".
func newerThan(version string) string {
	if version == "" {
		return ""
	}
	return fmt.Sprintf(", of version %s, newer than %s", version, buildinfo.Version)
}

// untagged matches the version of a build between two releases, as "git describe" prints it. Such versions have no
// order.
var untagged = regexp.MustCompile(`-[0-9]+-g[0-9a-f]+(-dirty)?$|-dirty$`)

// older reports whether version a precedes version b by Semantic Versioning 2.0. It is false unless both are complete
// semantic versions of releases.
func older(a, b string) bool {
	if untagged.MatchString(a) || untagged.MatchString(b) {
		return false
	}
	// Package semver requires the v, which releases may lack.
	a, b = "v"+strings.TrimPrefix(a, "v"), "v"+strings.TrimPrefix(b, "v")
	return complete(a) && complete(b) && semver.Compare(a, b) < 0
}

// complete reports whether a version has three numbers. Package semver also accepts one or two, and with them the
// abbreviated hash of a commit that has digits only, such as 7510558.
func complete(v string) bool { return semver.IsValid(v) && semver.Canonical(v)+semver.Build(v) == v }
