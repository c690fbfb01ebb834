#!/bin/sh
# verify-generated.sh: fails, with the difference, when `make generate` was forgotten.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
trap 'exit 1' INT TERM
"$root/hack/generate.sh" "$fresh"
stale=false
for file in pkg/apis/crd/v1/zz_generated.deepcopy.go deploy/crds; do
	diff -ruN "$root/$file" "$fresh/$file" || stale=true
done
if $stale; then
	echo "generated files are not what the types say: run 'make generate' and commit the result" >&2
	exit 1
fi
