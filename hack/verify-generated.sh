#!/bin/sh
# verify-generated.sh: fails, with the difference, when `make generate` was forgotten.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT INT TERM
mkdir -p "$fresh/pkg/apis/crd/v1" "$fresh/deploy/crds"
"$root/hack/generate.sh" "$fresh"
ok=true
diff -u "$root/pkg/apis/crd/v1/zz_generated.deepcopy.go" "$fresh/pkg/apis/crd/v1/zz_generated.deepcopy.go" || ok=false
diff -ru "$root/deploy/crds" "$fresh/deploy/crds" || ok=false
if ! $ok; then
	echo "generated files are not what the types say: run 'make generate' and commit the result" >&2
	exit 1
fi
