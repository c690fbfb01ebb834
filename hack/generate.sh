#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# generate.sh DIR: writes the generated files to DIR, which is the tree or a copy of it:
# - deepcopy functions into the packages beneath pkg/apis,
# - the CustomResourceDefinitions of both API groups into deploy/crds, and those of the chart into deploy/chart/crds,
# - the manifests (calico-cni-crds.yaml, calico-cni-crds-v1.yaml, calico-cni.yaml and the profiles), rendered from the
#   chart and the CustomResourceDefinitions of the tree, into deploy,
# - the tables of flags, values and variables into docs/install.md, docs/deploy.md and docs/calico-node.md.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=$(cd "$1" && pwd)
cd "$root"
generate() {
	go tool -modfile=hack/tools/go.mod controller-gen "$@"
}
for package in $(hack/apis.sh); do
	mkdir -p "$out/$package"
	generate object:headerFile=hack/header.txt paths="./$package" output:object:dir="$out/$package"
done
for group in crd/v1:v1 projectcalico/v3:v3; do
	crds=$out/deploy/crds/${group#*:}
	mkdir -p "$crds"
	# Orders of tiers and policies may be fractions.
	generate crd:crdVersions=v1,allowDangerousTypes=true paths="./pkg/apis/${group%:*}" output:crd:dir="$crds"

	# A free address is null in a block, and controller-gen has no marker that allows null in a list.
	blocks=$(echo "$crds"/*_ipamblocks.yaml)
	sed '/^              allocations:$/,/^                type: array$/ s/^                  type: integer$/                  nullable: true\n&/' \
		"$blocks" >"$blocks.new"
	if cmp -s "$blocks" "$blocks.new"; then
		rm "$blocks.new"
		echo "no list of allocations in $blocks: correct the expression in $0" >&2
		exit 1
	fi
	mv "$blocks.new" "$blocks"
done
mkdir -p "$out/deploy/chart/crds"
for kind in blockaffinities clusterinformations ipamblocks ipamconfigurations ipamhandles ippools ipreservations; do
	cp "$out/deploy/crds/v3/projectcalico.org_$kind.yaml" "$out/deploy/chart/crds/"
done

(cd test && go run ./cmd/manifests "$root/deploy" "$out/deploy")
go run ./hack/doctables "$root" "$out"
