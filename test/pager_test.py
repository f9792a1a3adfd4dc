#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The example pager, killed at random moments: no transfer that it printed is lost, no money is."""

import os
import pathlib
import random
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", "build/release"))
PAGER = BUILD / "examples" / "example_log_07_pager"
SUM = 64 * 1000
ROUNDS = 20


def check(folder):
    done = subprocess.run([PAGER, folder, "check"], check=True, capture_output=True, text=True)
    transfers, total = map(int, done.stdout.split())
    return transfers, total


def run_and_kill(folder, after):
    """Gives the last transfer that was printed; the process dies after `after` lines, or later."""
    with subprocess.Popen([PAGER, folder, "transfer", "100000"], stdout=subprocess.PIPE,
                          text=True) as process:
        last = 0
        for _ in range(after):
            last = int(process.stdout.readline())
        process.kill()
        for line in process.stdout:  # what it printed before it died
            if line.endswith("\n"):
                last = int(line)
    return last


def main():
    if not PAGER.exists():
        print(f"{PAGER} is not built")
        return 77
    seed = int(os.environ.get("VARVE_TEST_SEED", "1"))
    print(f"replay with VARVE_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        assert check(folder) == (0, SUM)
        for _ in range(ROUNDS):
            printed = run_and_kill(folder, chance.randrange(1, 260))
            transfers, total = check(folder)
            assert transfers in (printed, printed + 1), f"printed {printed}, found {transfers}"
            assert total == SUM, f"{total} in all accounts, expected {SUM}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
