#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Rewrites go.mod and go.sum beside this script for another Kubernetes version: ./gen-gomod.sh v1.36.3
#
# k8s.io/kubernetes replaces its staging modules by directories of its own tree, which are not part of the module.
# This script replaces each by the version of the release: v0.X.Y for Kubernetes v1.X.Y.
set -eu
cd "$(dirname "$0")"
kube=${1:?usage: gen-gomod.sh VERSION, as in gen-gomod.sh v1.36.3}
staging=v0.${kube#v1.}

upstream=$(go mod download -json "k8s.io/kubernetes@$kube" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
[ -n "$upstream" ] || { echo "no go.mod of k8s.io/kubernetes@$kube: is the version published?" >&2; exit 1; }

{
	echo "// Kubernetes $kube as one binary. Written by gen-gomod.sh; versions are independent of the project."
	echo "module calico-cni/test/kube"
	echo
	sed -n '/^go [0-9]/p' "$upstream"
	echo
	# The GODEBUG defaults are part of the servers' behaviour, so they come from the release too.
	sed -n '/^godebug /p; /^godebug ($/,/^)$/p' "$upstream"
	echo
	echo "require k8s.io/kubernetes $kube"
	echo
	echo "replace ("
	sed -n "s|^\t\(k8s\.io/[^ ]*\) => \./staging/.*|\t\1 => \1 $staging|p" "$upstream"
	echo ")"
} >go.mod.new
mv go.mod.new go.mod
go mod tidy
