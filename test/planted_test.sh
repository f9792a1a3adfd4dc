#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The planted bugs of the log are quick to build; the others take long: only under ./run test --long,
# but all of them have to fit the source as it is.
set -euo pipefail
planted="$(dirname "$0")/planted/plant.py"
"$planted" --fit
"$planted" --log
[ -z "${VARVE_LONG:-}" ] || "$planted"
