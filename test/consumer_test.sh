#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Another project can use varve: installed, varve::log alone and without Arrow; installed, both; and
# as a subfolder of its own build.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${VARVE_BUILD_DIR:-$PWD/build/release}
unset VARVE_BUILD_DIR
pyarrow=$(echo "$PWD"/build/venv/lib/python3*/site-packages/pyarrow)
[ -d "$pyarrow" ] || pyarrow=${VARVE_PYARROW_DIR:-}
unset VARVE_PYARROW_DIR
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

step() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
# Objects of the subfolder build are the same as last time more often than not.
launcher=()
if command -v ccache >/dev/null; then launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
consumer() {  # consumer BUILD-FOLDER CMAKE-ARGUMENT...
  local to=$1
  shift
  cmake -S test/consumer -B "$to" -G Ninja "${launcher[@]}" "$@" >"$folder/cmake.txt" 2>&1 ||
    { cat "$folder/cmake.txt"; fail "configure of $to"; }
  ninja -C "$to" >"$folder/ninja.txt" 2>&1 || { tail -40 "$folder/ninja.txt"; fail "build of $to"; }
}

refused() {  # refused MESSAGE CMAKE-ARGUMENT...: configuring the consumer fails and says MESSAGE
  local message=$1
  shift
  if cmake -S test/consumer -B "$folder/refused" -G Ninja -DCMAKE_PREFIX_PATH="$folder/prefix" \
    "$@" >"$folder/cmake.txt" 2>&1; then fail "configured: $*"; fi
  # CMake breaks lines where it likes.
  tr -s '\n ' ' ' <"$folder/cmake.txt" | grep -qF "$message" ||
    { cat "$folder/cmake.txt"; fail "expected: $message"; }
}

step "install $build"
cmake --install "$build" --prefix "$folder/prefix" >/dev/null
"$folder/prefix/bin/varve" --version

step "find_package(varve COMPONENTS log), no Arrow to be found"
consumer "$folder/log" -DCMAKE_PREFIX_PATH="$folder/prefix" -DVARVE_COMPONENTS=log \
  -DCMAKE_DISABLE_FIND_PACKAGE_Arrow=ON -DCMAKE_DISABLE_FIND_PACKAGE_VarveArrow=ON
[ ! -e "$folder/log/use_database" ] || fail "COMPONENTS log brought varve::varve"
"$folder/log/use_log" "$folder/orders.log"
"$folder/log/use_log_in_c" "$folder/c.log"
touch "$folder/a-file"
if told=$("$folder/log/use_log_in_c" "$folder/a-file/c.log" 2>&1); then fail "no log can be there"; fi
grep -q "open: Unavailable/.*a-file/c.log" <<<"$told" || fail "an empty message: $told"

step "find_package(varve COMPONENTS log) in a project that knows C alone"
consumer "$folder/c" -DCMAKE_PREFIX_PATH="$folder/prefix" -DVARVE_COMPONENTS=log \
  -DCONSUMER_LANGUAGES=C
"$folder/c/use_log_in_c" "$folder/only_c.log"

step "find_package(varve COMPONENTS log varve)"
consumer "$folder/both" -DCMAKE_PREFIX_PATH="$folder/prefix" "-DVARVE_COMPONENTS=log;varve" \
  -DVARVE_PYARROW_DIR="$pyarrow"
"$folder/both/use_database" "$folder/one.varve"

step "a component that is not there is named"
refused "varve has no component nonesuch" "-DVARVE_COMPONENTS=log;nonesuch"
rm "$folder"/prefix/lib*/cmake/varve/varveTargets*.cmake
refused "it was built with VARVE_BUILD_DATABASE=OFF" "-DVARVE_COMPONENTS=log;varve"

step "VARVE_BUILD_DATABASE=OFF configures without Arrow and nlohmann_json, by default for Release"
cmake -S . -B "$folder/off" -G Ninja -DVARVE_BUILD_DATABASE=OFF -DVARVE_BUILD_TESTS=ON \
  -DCMAKE_DISABLE_FIND_PACKAGE_VarveArrow=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON \
  >"$folder/cmake.txt" 2>&1 || { cat "$folder/cmake.txt"; fail "configure"; }
grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Release$' "$folder/off/CMakeCache.txt" || fail "no build type"

step "add_subdirectory"
# Kept between runs: it compiles all of the log and, under --long, of varve.
log_alone=(-DVARVE_BUILD_DATABASE=OFF)
[ -z "${VARVE_LONG:-}" ] || log_alone=()
consumer build/consumer -DVARVE_SOURCE="$PWD" -DVARVE_PYARROW_DIR="$pyarrow" \
  -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O0" "${log_alone[@]}"
build/consumer/use_log "$folder/again.log"
[ -z "${VARVE_LONG:-}" ] || build/consumer/use_database "$folder/two.varve"
