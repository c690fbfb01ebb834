#!/bin/sh
# generate.sh DIR: writes the generated files to DIR, which is the tree or a copy of it:
# - deepcopy functions into pkg/apis/crd/v1 and pkg/apis/crd/v1/spec,
# - the CustomResourceDefinitions into deploy/chart/crds,
# - the manifests (calico-cni-crds.yaml, calico-cni.yaml and the profiles), rendered from the chart of the tree, into
#   deploy,
# - the tables of flags and values into docs/install.md and docs/deploy.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "$1" && pwd)
mkdir -p "$out/pkg/apis/crd/v1/spec" "$out/deploy/chart/crds"
cd "$root"
go tool -modfile=hack/tools/go.mod controller-gen \
	object paths=./pkg/apis/crd/v1/spec output:object:dir="$out/pkg/apis/crd/v1/spec"
go tool -modfile=hack/tools/go.mod controller-gen \
	object crd:crdVersions=v1 paths=./pkg/apis/crd/v1 \
	output:object:dir="$out/pkg/apis/crd/v1" output:crd:dir="$out/deploy/chart/crds"

# A free address is null in a block, and controller-gen has no marker that allows null in a list.
blocks=$out/deploy/chart/crds/crd.projectcalico.org_ipamblocks.yaml
sed '/^              allocations:$/,/^                type: array$/ s/^                  type: integer$/                  nullable: true\n&/' \
	"$blocks" >"$blocks.new"
if cmp -s "$blocks" "$blocks.new"; then
	rm "$blocks.new"
	echo "no list of allocations in $blocks: correct the expression in $0" >&2
	exit 1
fi
mv "$blocks.new" "$blocks"

(cd test && go run ./cmd/manifests "$root/deploy" "$out/deploy")
go run ./hack/doctables "$root" "$out"
