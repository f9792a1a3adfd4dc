#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every example runs, in a folder of its own, and finds what it says; and where it cannot run it says
# why.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${VARVE_BUILD_DIR:-$PWD/build/release}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
unset "${!VARVE_@}"  # what the caller set would change them

touch "$folder/a-file"  # where neither log nor database can be

count=0
for source in examples/*.c examples/*.cc; do
  name=$(basename "${source%.*}")
  printf '== %s\n' "$name"
  "$build/examples/example_$name" "$folder/$name.log" ||
    { printf 'FAILED: %s\n' "$name"; exit 1; }
  if message=$("$build/examples/example_$name" "$folder/a-file/log" 2>&1 >/dev/null); then
    printf 'FAILED: %s ran where it cannot\n' "$name"; exit 1
  fi
  printf 'told: %s\n' "$message"
  grep -q 'a-file/log' <<<"$message" ||
    { printf 'FAILED: %s does not say what went wrong\n' "$name"; exit 1; }
  if message=$("$build/examples/example_$name" 2>&1 >/dev/null); then code=0; else code=$?; fi
  { [ "$code" = 2 ] && [[ "$message" == "usage: "*"$name FOLDER"* ]]; } ||
    { printf 'FAILED: %s without a folder ends with %s: %s\n' "$name" "$code" "$message"; exit 1; }
  if [ "$name" != log_07_pager ]; then  # which goes on with its pages
    code=0
    message=$("$build/examples/example_$name" "$folder/$name.log" 2>&1 >/dev/null) || code=$?
    { [ "$code" = 2 ] && [[ "$message" == "$folder/$name.log is not empty: give a new"* ]]; } ||
      { printf 'FAILED: %s in the same folder again: %s: %s\n' "$name" "$code" "$message"; exit 1; }
  fi
  count=$((count + 1))
done
[ "$count" -ge 23 ] || { printf 'FAILED: only %s examples\n' "$count"; exit 1; }
