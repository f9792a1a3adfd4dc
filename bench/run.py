#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures varve against others, side by side in one run. Start it with ./run bench.

Every figure is a ratio: the two sides alternate, round by round, on the same disk with the same
rows, and the median ratio is reported with the quartiles. Nothing runs on tmpfs. The results go to
build/bench.json as well.

  ingest   the flights in durable commits of 1,000 rows by one thread, two ways. From the file, with
           process start and CSV parsing on both sides: varve load against Python's sqlite3
           (bench/sqlite_load.py says how it is set up), until the last row is durable, and until
           the process has ended (varve then finishes a flush, SQLite a checkpoint). And the commits
           alone, rows in memory on both sides: Database::Upsert against executemany.
  scan     full scan of the flushed table against Arrow's own Parquet reader on the same files.
  memory   peak resident memory of a load of ten times the flights.
  log      the log alone, against the limits of the machine and against RocksDB, SQLite and LMDB
           (bench/log_suite.py says what is measured and how); alone: ./run bench log
  versions the database against DuckDB, SQLite, RocksDB, Arrow and tonbo: durable ingest, scans,
           get, snapshots, transactions (bench/versions_suite.py); alone: ./run bench versions

  upkeep   flushes and compactions against Arrow alone, opening, space, write amplification, upserts
           without a pause (bench/upkeep_suite.py); some 40 minutes and 20 GB, so only when named

  log-damage   no measurement of time, and only when named: the logs of varve, RocksDB, LevelDB and
           SQLite damaged in every way, and whether that is noticed (bench/log_damage.py)
"""
import argparse
import gzip
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import demo  # noqa: E402  (flights_csv, KEY)
import log_damage  # noqa: E402
import log_suite  # noqa: E402
import upkeep_suite  # noqa: E402
import versions_suite  # noqa: E402

WORK = ROOT / "build" / "bench"
BINARIES = ROOT / "build" / "release"
ROWS_PER_COMMIT = 1_000
MEMTABLE_BYTES = 128 << 20
MEMORY_ALLOWANCE = 200_000_000


def varve_command(source, database):
    return [str(BINARIES / "varve"), "load", str(database), "flights", str(source), "--create",
            "--key", ",".join(demo.KEY), "--rows-per-commit", str(ROWS_PER_COMMIT),
            "--null", "NA", "--threads", "1"]


def varve_load(source, database, **options):
    subprocess.run(varve_command(source, database), check=True, stdout=subprocess.DEVNULL,
                   **options)


def until_last_line_and_end(command):
    """Seconds from the start of a process to the last line it prints, and to its end."""
    start = last = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        for _ in process.stdout:
            last = time.perf_counter()
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return last - start, time.perf_counter() - start


def printed_seconds(command):
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def sqlite_load(source, *options):
    return [sys.executable, str(ROOT / "bench" / "sqlite_load.py"), *options, str(source),
            str(WORK / "ingest.sqlite"), ",".join(demo.KEY), str(ROWS_PER_COMMIT)]


def from_file(source):
    ours = until_last_line_and_end([*varve_command(source, WORK / "ingest.varve"), "--commits"])
    theirs = until_last_line_and_end(sqlite_load(source))
    return {"from file to durable": (ours[0], theirs[0]),
            "from file to process end": (ours[1], theirs[1])}


def commits_alone(source):
    ours = printed_seconds([str(BINARIES / "bench" / "bench_commit"), str(WORK / "ingest.varve"),
                            str(source.with_suffix(".arrow")), ",".join(demo.KEY),
                            str(ROWS_PER_COMMIT)])
    return {"commits alone": (ours, printed_seconds(sqlite_load(source, "--commits")))}


def clean_up():
    for leftover in WORK.glob("ingest.*"):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()


# With goal 0 the figure is for information.
def ratio_line(name, ratios, goal, unit="x"):
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    median = statistics.median(ratios)
    verdict = f"; goal {goal}{unit}: {'met' if median >= goal else 'MISSED'}" if goal else ""
    print(f"{name:<52} {median:7.2f}{unit}  (quartiles {quartiles[0]:.2f}, {quartiles[2]:.2f}"
          f"{verdict})", flush=True)
    return {"name": name, "median": median, "quartiles": quartiles, "goal": goal,
            "met": median >= goal, "ratios": ratios}


def bench_ingest(source, rounds):
    plain = WORK / "flights.csv"
    with gzip.open(source) as zipped:
        plain.write_bytes(zipped.read())
    varve_load(plain, WORK / "rows.varve")
    subprocess.run([str(BINARIES / "varve"), "scan", str(WORK / "rows.varve"), "flights", "-o",
                    str(plain.with_suffix(".arrow"))], check=True, stdout=subprocess.DEVNULL)
    seconds = {}
    for measure in (from_file, commits_alone):
        for _ in range(rounds):
            for name, pair in measure(plain).items():
                seconds.setdefault(name, []).append(pair)
            clean_up()
    results = []
    for name, pairs in seconds.items():
        result = ratio_line(f"ingest, {name}: varve / sqlite3",
                            [theirs / ours for ours, theirs in pairs],
                            0 if name == "from file to process end" else 5)
        result["varve_seconds"] = statistics.median(ours for ours, _ in pairs)
        result["sqlite_seconds"] = statistics.median(theirs for _, theirs in pairs)
        print(f"{'':<52} medians {result['varve_seconds']:.2f} s and "
              f"{result['sqlite_seconds']:.2f} s", flush=True)
        results.append(result)
    return results


def bench_scan(source, rounds):
    database = WORK / "scan.varve"
    varve_load(source, database)
    subprocess.run([str(BINARIES / "varve"), "flush", str(database)], check=True,
                   stdout=subprocess.DEVNULL)
    out = subprocess.run([str(BINARIES / "bench" / "bench_scan"), str(database), "flights",
                          str(rounds * 3)], check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    return [ratio_line("full scan: varve / Arrow reader", [x["arrow"] / x["varve"] for x in lines],
                       0.5)]


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
    print(f"{'memory of a tenfold load':<52} {peak / 1e6:7.0f} MB (memtable budget "
          f"{MEMTABLE_BYTES / 1e6:.0f} MB; goal under {limit / 1e6:.0f} MB: {met})", flush=True)
    return [{"name": "memory of a tenfold load", "peak_bytes": peak, "limit_bytes": limit,
             "met": peak < limit}]


def measure_load(source):
    database = WORK / "memory.varve"
    shutil.rmtree(database, ignore_errors=True)
    varve_load(source, database, env={**os.environ, "VARVE_MEMTABLE_BYTES": str(MEMTABLE_BYTES)})
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def bench_log(options):
    arguments = ["--rounds", str(options.rounds)] if options.rounds else []
    arguments += ["--patience", str(options.patience)] if options.patience else []
    folder = pathlib.Path(options.dir or WORK) / "log"
    result = log_suite.run(BINARIES / "bench" / "bench_log", folder, arguments, options.quick)
    (ROOT / "build" / "bench_log.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.rmtree(folder)
    return result["measures"]


def bench_versions(options):
    arguments = ["--rounds", str(options.rounds)] if options.rounds else []
    arguments += ["--patience", str(options.patience)] if options.patience else []
    folder = pathlib.Path(options.dir or WORK) / "versions"
    result = versions_suite.run(BINARIES / "bench" / "versions" / "bench_versions", folder,
                                arguments, options.quick, ROOT / "build" / "tonbo")
    (ROOT / "build" / "bench_versions.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.rmtree(folder)
    return result["measures"]


def bench_upkeep(options):
    arguments = ["--rounds", str(options.rounds)] if options.rounds else []
    arguments += ["--patience", str(options.patience)] if options.patience else []
    arguments += ["--minutes", str(options.minutes)] if options.minutes else []
    folder = pathlib.Path(options.dir or WORK) / "upkeep"
    result = upkeep_suite.run(BINARIES / "bench" / "upkeep" / "bench_upkeep", folder, arguments,
                              options.quick, ROOT / "build" / "tonbo")
    (ROOT / "build" / "bench_upkeep.json").write_text(json.dumps(result, indent=1) + "\n")
    shutil.rmtree(folder)
    return result["measures"]


def bench_log_damage(options):
    arguments = ["--seed", str(options.seed)] if options.seed is not None else []
    binary = BINARIES / "bench" / "log_damage" / "bench_log_damage"
    result = log_damage.run(binary, arguments, options.quick, options.dir, options.json)
    (ROOT / "build" / "bench_log_damage.json").write_text(json.dumps(result, indent=1) + "\n")
    return result["measures"]


def flights():
    return demo.flights_csv(WORK)[0]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", default=["ingest", "scan", "memory", "log", "versions"],
                        help="ingest, scan, memory, log, versions (default: these), "
                             "upkeep, log-damage")
    parser.add_argument("--rounds", type=int, help="default: 5, for log 9")
    parser.add_argument("--quick", action="store_true",
                        help="log, versions, upkeep: does it run at all? log-damage: few cases "
                             "of each kind")
    parser.add_argument("--minutes", type=float,
                        help="upkeep only: for how long upserts go on and on (default: 10)")
    parser.add_argument("--json", action="store_true",
                        help="log-damage only: print the result as JSON, not as a table")
    parser.add_argument("--seed", type=int, help="log-damage only: of the commits and the sample")
    parser.add_argument("--patience", type=float, metavar="SECONDS",
                        help="log, versions, upkeep: wait so long in all until others leave the "
                             "processors alone (default: 60)")
    parser.add_argument("--dir", help="log, versions, upkeep, log-damage: work in this folder "
                                      "(default: build/bench, and memory)")
    parser.add_argument("--measure-load", metavar="FILE", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.measure_load:
        return measure_load(options.measure_load)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    rounds = options.rounds or 5
    suites = {"ingest": lambda: bench_ingest(flights(), rounds),
              "scan": lambda: bench_scan(flights(), rounds),
              "memory": lambda: bench_memory(flights()),
              "log": lambda: bench_log(options),
              "versions": lambda: bench_versions(options),
              "upkeep": lambda: bench_upkeep(options),
              "log-damage": lambda: bench_log_damage(options)}
    unknown = set(options.suite) - set(suites)
    if unknown:
        sys.exit(f"bench: no suite {', '.join(sorted(unknown))}; there are {', '.join(suites)}")
    results = [result for name in options.suite for result in suites[name]()]
    (ROOT / "build" / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    shutil.rmtree(WORK)
    if not options.quick and not all(result["met"] for result in results):
        sys.exit("bench: a goal was missed")


if __name__ == "__main__":
    main()
