#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# verify-generated.sh: compares the generated files with the output of `make generate`, and fails if they differ.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
trap 'exit 1' INT TERM
"$root/hack/generate.sh" "$fresh"
stale=false
for package in $("$root/hack/apis.sh"); do
	file=$package/zz_generated.deepcopy.go
	diff -uN "$root/$file" "$fresh/$file" || stale=true
done
for directory in deploy/crds deploy/chart/crds; do
	diff -ruN "$root/$directory" "$fresh/$directory" || stale=true
done
for file in calico-cni.yaml calico-cni-crds.yaml calico-cni-crds-v1.yaml $(cd "$root/deploy" && echo profiles/*.values.yaml); do
	file=deploy/$(echo "$file" | sed 's/\.values\.yaml$/.yaml/')
	diff -uN "$root/$file" "$fresh/$file" || stale=true
done
for file in docs/install.md docs/deploy.md; do
	diff -u "$root/$file" "$fresh/$file" || stale=true
done
if $stale; then
	echo "generated files differ from the types, the chart or the flags: run 'make generate' and commit the result" >&2
	exit 1
fi
