#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building varve needs on Debian 12 and makes build/venv with the pinned pyarrow wheel,
# whose Arrow C++ we link when no system package is there. Does nothing that is done already.
#
# setup.sh bench: also the databases that the benchmarks compare with. Without them (no network, no
# root) the benchmarks run all the same and report those peers as missing. tonbo is built by cargo
# when that is there; nothing here installs it.
# A browser, in which test/report_test.py looks at reports, is installed too where that can be done;
# without one that test is skipped.
# setup.sh fuzz: also the clang that `./run fuzz` compiles with; g++ compiles everything else.
set -euo pipefail
cd "$(dirname "$0")/.."

pyarrow_version=25.0.1
duckdb_version=1.4.2
prometheus_client_version=0.26.0  # whose parser reads what we write
packages=(g++ cmake ninja-build ccache mold git ca-certificates python3 python3-venv
  libgtest-dev libbenchmark-dev nlohmann-json3-dev libcli11-dev libfmt-dev libisal-dev
  librapidcheck-dev libzstd-dev liblz4-dev libssl-dev)
browser_packages=(chromium)
fuzz_packages=(clang-19 libclang-rt-19-dev llvm-19)
# libpython: DuckDB's C API comes out of its Python wheel, whose library wants Python's symbols.
bench_packages=(librocksdb-dev libleveldb-dev libsqlite3-dev liblmdb-dev libpython3.11)

say() { printf 'setup: %s\n' "$*" >&2; }

is_installed() {
  dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

# install PACKAGE...: those that are not there yet; 8 when that needs somebody else's rights
install() {
  local missing=() as_root=()
  for package in "$@"; do
    is_installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      as_root=(sudo)
    else
      say "these Debian packages are missing, and this is neither root nor a user with sudo."
      say "ask an administrator to run:"
      say "  apt-get install ${missing[*]}"
      return 8
    fi
  fi
  say "installing ${missing[*]}"
  "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends "${missing[@]}" >/dev/null
}

install "${packages[@]}" || exit
if ! command -v chromium >/dev/null; then
  install "${browser_packages[@]}" || say "going on without a browser: report_test.py is skipped"
fi
if [ "${1:-}" = bench ]; then
  install "${bench_packages[@]}" || say "going on without; the benchmarks will name what is missing"
fi

if [ "${1:-}" = fuzz ]; then
  install "${fuzz_packages[@]}" || exit
fi

venv=build/venv
stamp="pyarrow $pyarrow_version duckdb $duckdb_version prometheus $prometheus_client_version"
if [ "$(cat $venv/varve-stamp 2>/dev/null)" != "$stamp" ]; then
  say "making $venv with pyarrow $pyarrow_version"
  mkdir -p build
  [ -x $venv/bin/python ] || /usr/bin/python3 -m venv $venv
  $venv/bin/python -m pip install --quiet --disable-pip-version-check \
    "pyarrow==$pyarrow_version" "duckdb==$duckdb_version" \
    "prometheus_client==$prometheus_client_version"
  printf '%s\n' "$stamp" >$venv/varve-stamp
fi
