#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verify-release.sh: builds image and release twice and compares the bytes. The second build uses a copy of the sources in
# another directory and an empty build cache. VERSION and SOURCE_DATE_EPOCH are those of the release, PLATFORMS its
# platforms (default: all published ones).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

publish() { # publish TREE OUT
	(cd "$1/hack/release" &&
		go run ./cmd/release -version "$VERSION" -date "$SOURCE_DATE_EPOCH" -out "$2" ${PLATFORMS:+-platforms "$PLATFORMS"} &&
		go run ./cmd/image -version "$VERSION" -date "$SOURCE_DATE_EPOCH" ${PLATFORMS:+-platforms "$PLATFORMS"} \
			-out "$2/calico-cni-$VERSION-image.tar")
}

publish "$root" "$work/one"
mkdir -p "$work/elsewhere/tree"
(cd "$root" && tar -c --exclude=./.git --exclude=./bin --exclude=./dist .) | tar -x -C "$work/elsewhere/tree"
GOCACHE="$work/cache" publish "$work/elsewhere/tree" "$work/two"
diff -r "$work/one" "$work/two"
(cd "$work/two" && sha256sum ./*)
