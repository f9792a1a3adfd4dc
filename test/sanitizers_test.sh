#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The tests of base, files and the log under ThreadSanitizer, then under AddressSanitizer with
# UndefinedBehaviorSanitizer: a report of either fails the test. Only under ./run test --long, or
# with VARVE_SANITIZERS=1. The log alone, because Arrow as it comes is not instrumented.
set -euo pipefail
if [ -z "${VARVE_LONG:-}${VARVE_SANITIZERS:-}" ]; then
  echo "builds the log twice more: ./run test --long, or VARVE_SANITIZERS=1"
  exit 77
fi
unset VARVE_LONG  # the ordinary numbers of seeds: they are slow enough here
cd "$(dirname "$0")/.."
for preset in tsan asan-ubsan; do
  build="build/$preset-log"
  cmake --preset "$preset" -B "$build" -DVARVE_BUILD_DATABASE=OFF -DVARVE_BUILD_BENCH=OFF
  ninja -C "$build" test_base test_files test_log
  for program in base/test_base files/test_files log/test_log; do
    printf '%s: %s\n' "$preset" "$program"
    TSAN_OPTIONS="suppressions=$PWD/test/tsan.supp" "$build/src/$program" --gtest_brief=1
  done
done
