#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# apis.sh: prints the packages beneath pkg/apis that have generated deepcopy functions.
set -eu
cd "$(dirname "$0")/.."
grep -rl --include='*.go' '^// +kubebuilder:object:generate=true$' pkg/apis | xargs -n1 dirname | sort -u
