#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The planted bugs of the log are quick to build; the others take long: only under ./run test --long.
set -euo pipefail
planted="$(dirname "$0")/planted/plant.py"
"$planted" --log
[ -z "${VARVE_LONG:-}" ] || "$planted"
