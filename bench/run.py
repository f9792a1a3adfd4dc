#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures varve against others, side by side in one run. Start it with ./run bench.

Every figure is a ratio: the two sides alternate, round by round, on the same disk with the same
rows, and the median ratio is reported with the quartiles. Nothing runs on tmpfs. The results go to
build/bench.json as well.

  ingest   varve load of the flights in durable commits of 1,000 rows, one thread, CSV parsing and
           process start included, against Python's sqlite3 (WAL, synchronous=FULL, WITHOUT ROWID,
           prepared executemany of the same batches, one transaction each), whose rows were parsed
           beforehand, outside of its clock.
  scan     full scan of the flushed table against Arrow's own Parquet reader on the same files.
  memory   peak resident memory of a load of ten times the flights.
"""
import argparse
import csv
import gzip
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402  (flights_csv, KEY)

WORK = ROOT / "build" / "bench"
BINARIES = ROOT / "build" / "release"
ROWS_PER_COMMIT = 1_000
MEMTABLE_BYTES = 128 << 20
MEMORY_ALLOWANCE = 200_000_000
NUMBERS = {"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time",
           "sched_arr_time", "arr_delay", "flight", "air_time", "distance", "hour", "minute"}


def varve_load(source, database, **options):
    command = [str(BINARIES / "varve"), "load", str(database), "flights", str(source), "--create",
               "--key", ",".join(demo.KEY), "--rows-per-commit", str(ROWS_PER_COMMIT),
               "--null", "NA", "--threads", "1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def time_varve(source, number):
    database = WORK / f"ingest-{number}.varve"
    start = time.perf_counter()
    varve_load(source, database)
    seconds = time.perf_counter() - start
    shutil.rmtree(database)
    return seconds


def parsed_rows(source):
    with gzip.open(source, "rt", newline="") as text:
        rows = csv.reader(text)
        header = next(rows)
        kinds = [name in NUMBERS for name in header]
        return header, [tuple(None if value == "NA" else int(float(value)) if number else value
                              for value, number in zip(row, kinds)) for row in rows]


def time_sqlite(header, rows, number):
    path = WORK / f"ingest-{number}.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("pragma journal_mode=wal")
    connection.execute("pragma synchronous=full")
    connection.execute(f"create table flights({', '.join(header)}, "
                       f"primary key({', '.join(demo.KEY)})) without rowid")
    insert = f"insert or replace into flights values({', '.join('?' * len(header))})"
    start = time.perf_counter()
    for first in range(0, len(rows), ROWS_PER_COMMIT):
        connection.execute("begin")
        connection.executemany(insert, rows[first:first + ROWS_PER_COMMIT])
        connection.execute("commit")
    seconds = time.perf_counter() - start
    connection.close()
    for leftover in WORK.glob(path.name + "*"):
        leftover.unlink()
    return seconds


def ratio_line(name, ratios, goal, unit="x"):
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    median = statistics.median(ratios)
    met = "met" if median >= goal else "MISSED"
    print(f"{name:<44} {median:7.2f}{unit}  (quartiles {quartiles[0]:.2f}, {quartiles[2]:.2f}; "
          f"goal {goal}{unit}: {met})", flush=True)
    return {"name": name, "median": median, "quartiles": quartiles, "goal": goal,
            "met": median >= goal, "ratios": ratios}


def bench_ingest(source, rounds):
    plain = WORK / "flights.csv"
    with gzip.open(source) as zipped:
        plain.write_bytes(zipped.read())
    header, rows = parsed_rows(source)
    ratios, speeds = [], []
    for number in range(rounds):
        ours, theirs = time_varve(plain, number), time_sqlite(header, rows, number)
        ratios.append(theirs / ours)
        speeds.append(len(rows) / ours)
    result = ratio_line("ingest, 1,000-row commits: varve / sqlite3", ratios, 5)
    result["varve_rows_per_second"] = statistics.median(speeds)
    return result


def bench_scan(source, rounds):
    database = WORK / "scan.varve"
    varve_load(source, database)
    subprocess.run([str(BINARIES / "varve"), "flush", str(database)], check=True,
                   stdout=subprocess.DEVNULL)
    out = subprocess.run([str(BINARIES / "bench" / "bench_scan"), str(database), "flights",
                          str(rounds * 3)], check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    return ratio_line("full scan: varve / Arrow reader", [x["arrow"] / x["varve"] for x in lines],
                      0.5)


def bench_memory(source):
    # Ten years of flights: the same rows with the year moved, so that every key is new.
    tenfold = WORK / "flights10.csv"
    with gzip.open(source, "rt", newline="") as text, open(tenfold, "w") as out:
        header, *lines = text.read().splitlines(keepends=True)
        out.write(header)
        for year in range(2013, 2023):
            out.writelines(f"{year}{line[4:]}" for line in lines)
    command = [sys.executable, __file__, "--measure-load", str(tenfold)]
    peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    limit = MEMTABLE_BYTES + MEMORY_ALLOWANCE
    met = "met" if peak < limit else "MISSED"
    print(f"{'memory of a tenfold load':<44} {peak / 1e6:7.0f} MB (memtable budget "
          f"{MEMTABLE_BYTES / 1e6:.0f} MB; goal under {limit / 1e6:.0f} MB: {met})", flush=True)
    return {"name": "memory of a tenfold load", "peak_bytes": peak, "limit_bytes": limit,
            "met": peak < limit}


def measure_load(source):
    database = WORK / "memory.varve"
    shutil.rmtree(database, ignore_errors=True)
    varve_load(source, database, env={**os.environ, "VARVE_MEMTABLE_BYTES": str(MEMTABLE_BYTES)})
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", default=["ingest", "scan", "memory"],
                        help="ingest, scan, memory (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure-load", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure_load:
        return measure_load(options.measure_load)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    source, _, _ = demo.flights_csv(WORK)
    suites = {"ingest": lambda: bench_ingest(source, options.rounds),
              "scan": lambda: bench_scan(source, options.rounds),
              "memory": lambda: bench_memory(source)}
    unknown = set(options.suite) - set(suites)
    if unknown:
        sys.exit(f"bench: no suite {', '.join(sorted(unknown))}; there are {', '.join(suites)}")
    results = [suites[name]() for name in options.suite]
    (ROOT / "build" / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(WORK)
    if not all(result["met"] for result in results):
        sys.exit("bench: a goal was missed")


if __name__ == "__main__":
    main()
