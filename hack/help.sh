#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# help.sh: prints the targets of the Makefile with their descriptions, and its variables.
set -eu
cd "$(dirname "$0")/.."
grep -hE '^[a-z0-9-]+:.*##' Makefile | sed 's/:[^#]*##/\t/' | expand -t 20
echo
echo "Variables, for example make cluster N=5:"
sed -n 's/^## \([A-Z0-9_]*\): */\1\t/p' Makefile | expand -t 20
