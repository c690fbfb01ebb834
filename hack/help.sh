#!/bin/sh
# help.sh: prints the targets of the Makefile with their descriptions, and its variables.
set -eu
cd "$(dirname "$0")/.."
grep -hE '^[a-z0-9-]+:.*##' Makefile | sed 's/:[^#]*##/\t/' | expand -t 20
echo
echo "variables:"
grep -hE '^[A-Z0-9_]+ *\?=.*##' Makefile | sed -E 's/^([A-Z0-9_]+) *\?=[^#]*##/\1\t/' | expand -t 20
