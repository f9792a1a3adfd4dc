#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ThreadSanitizer looks at the storm of test/threads: a report fails the test. Under ./run test --long,
# or with VARVE_SANITIZERS=1, also at the tests of base, files, the log and the memtable, and at those
# of the view and the engine that have threads, and AddressSanitizer with UndefinedBehaviorSanitizer
# at the tests of every room and the storm; then races are planted, one at a time, and ThreadSanitizer
# must see each. "storm", "tsan", "asan-ubsan" or "races" in VARVE_SANITIZERS does that part alone.
#
# Arrow as it comes is not instrumented; docs/testing.md says what that hides and what it does not.
set -euo pipefail
parts=${VARVE_SANITIZERS:-}
[ -n "${VARVE_LONG:-}$parts" ] || parts=storm
unset VARVE_LONG  # the ordinary numbers of seeds: they are slow enough here
[ -n "$parts" ] && [ "$parts" != 1 ] || parts="tsan asan-ubsan races"
cd "$(dirname "$0")/.."
declare -A rooms=(
  [storm]=""
  [tsan]="base files log memtable view engine"
  [asan-ubsan]="base files log columns memtable manifest run view engine"
)
# Under ThreadSanitizer the tests of one thread would find nothing.
engine_threads="*Thread*:*Beside*:Async*:Follow*:PlainWrites*:*HalfWay*:*WhileAFlush*:BackPressure*"
engine_threads+=":CloseTest*:*WaitsHears*:WriteProfile*"
declare -A with_threads=(
  [view]="*Thread*:ParallelRows*:*Ahead*"
  [engine]="$engine_threads"
)
# Arrow's own allocators keep memory from the sanitizers, which then see no use of it after its
# end, and take its next use for the same.
export ARROW_DEFAULT_MEMORY_POOL=system
export TSAN_OPTIONS="suppressions=$PWD/test/tsan.supp history_size=4 ${TSAN_OPTIONS:-}"

build() {  # PRESET TARGET...
  cmake --preset "$1" -DVARVE_BUILD_BENCH=OFF
  ninja -C "build/$1" "${@:2}"
}
run() {  # PRESET ROOM...
  for room in "${@:2}"; do
    printf '%s: test_%s\n' "$1" "$room"
    cases='*'
    [ "$1" != tsan ] || cases=${with_threads[$room]:-*}
    "build/$1/src/$room/test_$room" --gtest_brief=1 --gtest_filter="$cases"
  done
  printf '%s: test_threads\n' "$1"
  "build/$1/test/test_threads" --gtest_brief=1
}

for part in $parts; do
  if [ "$part" = races ]; then
    build tsan test_memtable test_threads
    VARVE_BUILD_DIR="$PWD/build/tsan" test/planted/plant.py --races
  else
    preset=${part/storm/tsan}
    read -ra looked_at <<< "${rooms[$part]}"
    build "$preset" "${looked_at[@]/#/test_}" test_threads
    run "$preset" "${looked_at[@]}"
  fi
done
