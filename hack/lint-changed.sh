#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# lint-changed.sh BASE: lints the packages of the main module and of test/ with Go files that differ from the revision
# BASE, including files that git does not track yet.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
dirs=$({ git diff --name-only --diff-filter=d "$1" -- '*.go'; git ls-files --others --exclude-standard -- '*.go'; } |
	sed 's|[^/]*$||' | sort -u)
lint() { # MODULE DIRECTORIES
	cd "$root/$1"
	shift
	[ $# -eq 0 ] || ${GO:-go} tool -modfile="$root/hack/tools/lint/go.mod" golangci-lint run "$@"
}
# shellcheck disable=SC2046
(lint . $(echo "$dirs" | grep -E '^(cmd|pkg|internal|conflist)/' | sed 's|^|./|'))
# shellcheck disable=SC2046
(lint test $(echo "$dirs" | grep -E '^test/' | grep -Ev '^test/(kube|containerd|runc)/' | sed 's|^test/|./|'))
