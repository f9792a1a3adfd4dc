#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The planted bugs take long (each is a rebuild): only under ./run test --long.
set -euo pipefail
[ -n "${VARVE_LONG:-}" ] || { echo "only with --long"; exit 77; }
exec "$(dirname "$0")/planted/plant.py"
