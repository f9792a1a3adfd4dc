#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 on the real disk: a loader is killed at 200 random moments, and nothing it acknowledged
is ever missing, nothing is there by half, and what is there reads as it was written.

Forty databases (with --long four hundred) live through five kills each. A small memtable makes
seals and flushes happen all
the time, so that kills fall into them too. The moments come from a seed (VARVE_TEST_SEED).
"""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
VARVE = str(BUILD / "varve")
LIVES, KILLS_A_LIFE, KILLS_OF_A_LOAD = 400 if os.environ.get("VARVE_LONG") else 40, 5, 20
SECONDS_MAX = 0.4  # until a kill, on a busy machine
ROWS, ROWS_PER_COMMIT = 20_000, 50
ENVIRONMENT = {name: value for name, value in os.environ.items()
               if not name.startswith("VARVE_")} | {"VARVE_MEMTABLE_BYTES": str(1 << 20)}


def value_of(row_id):
    return f"v{row_id * 2654435761 % 4294967296:x}" * (1 + row_id % 5)


def write_rows(path, cycle):
    first = cycle * 1_000_000
    with open(path, "w") as out:
        out.write("id,v\n")
        out.writelines(f"{i},{value_of(i)}\n" for i in range(first, first + ROWS))


def run(*arguments):
    done = subprocess.run([VARVE, *arguments], capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode != 0:
        raise AssertionError(f"varve {' '.join(arguments)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def has_table(database):
    done = subprocess.run([VARVE, "tables", database, "--json"], capture_output=True, text=True,
                          env=ENVIRONMENT)
    assert done.returncode in (0, 3), f"varve tables: exit {done.returncode}: {done.stderr}"
    tables = json.loads(done.stdout)["tables"] if done.returncode == 0 else []
    return any(table["name"] == "t" for table in tables)


def load_and_kill(database, source, delay):
    """Starts a load, kills it after `delay` seconds, gives the rows it had acknowledged."""
    loader = subprocess.Popen(
        [VARVE, "load", database, "t", source, "--create", "--key", "id", "--commits",
         "--rows-per-commit", str(ROWS_PER_COMMIT)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    killed = False
    try:
        out, err = loader.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        loader.kill()
        out, err = loader.communicate()
        killed = True
    if not killed and loader.returncode != 0:
        raise AssertionError(f"load ended with {loader.returncode}: {err}")
    whole = [line for line in out.splitlines(keepends=True) if line.endswith("\n")]
    return (json.loads(whole[-1])["rows_total"] if whole else 0), killed


def seconds_of_a_load(folder):
    source, database = os.path.join(folder, "rows.csv"), os.path.join(folder, "whole.varve")
    write_rows(source, 0)
    start = time.monotonic()
    rows, killed = load_and_kill(database, source, None)
    assert (rows, killed) == (ROWS, False), f"a load that nobody killed kept {rows} of {ROWS} rows"
    return time.monotonic() - start


def check(database, acknowledged):
    """acknowledged[cycle] rows of each cycle must be there; more only as whole commits."""
    rows = {}
    text = run("scan", database, "t", "--format", "csv")
    for line in text.splitlines()[1:]:
        row_id, value = line.split(",")
        row_id, value = int(row_id), value.strip('"')
        assert value == value_of(row_id), f"row {row_id} reads {value!r}"
        rows.setdefault(row_id // 1_000_000, []).append(row_id % 1_000_000)
    assert set(rows) <= set(range(len(acknowledged))), "rows that nobody loaded"
    for cycle, expected in enumerate(acknowledged):
        found = rows.get(cycle, [])
        assert len(found) >= expected, f"cycle {cycle}: {expected} acknowledged, {len(found)} there"
        assert len(found) % ROWS_PER_COMMIT == 0, f"cycle {cycle}: half a commit, {len(found)} rows"
        assert found == list(range(len(found))), f"cycle {cycle}: not the first rows of the file"
        acknowledged[cycle] = len(found)  # what was seen once must stay


def load_once_and_kill(database, source, delay):
    """A load that must not commit a batch twice; gives whether it was killed."""
    loader = subprocess.Popen(
        [VARVE, "load", database, "t", source, "--create", "--key", "id", "--mode", "insert",
         "--producer", "kill-test", "--rows-per-commit", str(ROWS_PER_COMMIT)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        _, err = loader.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        loader.kill()
        loader.communicate()
        return True
    assert loader.returncode == 0, f"load --producer ended with {loader.returncode}: {err}"
    return False


def exactly_once(folder, chance, seconds):
    """One load, killed again and again, and run again until it ends: each batch once."""
    database, source = os.path.join(folder, "once.varve"), os.path.join(folder, "once.csv")
    write_rows(source, 0)
    kills = 0
    while kills < KILLS_OF_A_LOAD and load_once_and_kill(
            database, source, chance.uniform(0.0, min(seconds, SECONDS_MAX) / 2)):
        kills += 1
    assert not load_once_and_kill(database, source, None)
    check(database, [ROWS])
    commits = json.loads(run("stats", database, "--json"))["commit"]
    assert commits == ROWS // ROWS_PER_COMMIT, f"{commits} commits: one was made twice, or not"
    return kills


def main():
    seed = int(os.environ.get("VARVE_TEST_SEED", "1"))
    print(f"replay with VARVE_TEST_SEED={seed}")
    chance = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="varve-kill-", dir=BUILD)
    kills = acks = attempts = 0
    try:
        seconds = seconds_of_a_load(folder)
        print(f"{exactly_once(folder, chance, seconds)} kills of one load: each batch once")
        for life in range(LIVES):
            database, acknowledged = os.path.join(folder, f"{life}.varve"), []
            while kills < (life + 1) * KILLS_A_LIFE:
                attempts += 1
                assert attempts < 3 * LIVES * KILLS_A_LIFE, "it ends before it can be killed"
                source = os.path.join(folder, "rows.csv")
                write_rows(source, len(acknowledged))
                delay = chance.uniform(0.0, min(seconds, SECONDS_MAX))
                rows, killed = load_and_kill(database, source, delay)
                acknowledged.append(rows)
                acks += rows
                kills += killed
                if has_table(database):
                    check(database, acknowledged)
                else:  # killed before there was one, as on a busy machine every time
                    assert rows == 0, "rows were acknowledged and the table is gone"
            if has_table(database):
                run("verify", database, "--deep")
            shutil.rmtree(database, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert acks > 0, "every load was killed before its first acknowledgement"
    print(f"{kills} kills in {attempts} loads; {acks} acknowledged rows, none lost")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as error:
        sys.exit(f"kill test: {error}")
