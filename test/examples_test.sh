#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every example runs, in a folder of its own, and finds what it says.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${VARVE_BUILD_DIR:-$PWD/build/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset "${!VARVE_@}"  # what the caller set would change them

count=0
for source in examples/*.c examples/*.cc; do
  name=$(basename "${source%.*}")
  printf '== %s\n' "$name"
  "$build/examples/example_$name" "$folder/$name.log" ||
    { printf 'FAILED: %s\n' "$name"; exit 1; }
  count=$((count + 1))
done
[ "$count" -ge 6 ] || { printf 'FAILED: only %s examples\n' "$count"; exit 1; }
