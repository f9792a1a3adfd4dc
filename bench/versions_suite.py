# SPDX-License-Identifier: Apache-2.0
"""The database against its rivals: builds tonbo's side, runs bench_versions and judges.

All figures are ratios of slices of one round, in one process (tonbo: in two that take turns), on
one disk, over the same rows; bench/judge.py says which slices count. Each rival is set up as its
own experts would; how is printed with the results, and said with reasons in bench/versions/.

  ingest        ten columns (integers, floats, strings, timestamps), fresh ascending keys, durable
                commits. DuckDB has a primary key, since replacing by key is the job; what it does
                without is shown for information. A commit takes at least one write of its rows'
                bytes and a sync ("bare"): where a program that is given the same batches and does
                nothing else misses a goal of small commits in the same run, that goal is out of
                reach on this machine, and the table says so.
  scan          all ten columns; Arrow and DuckDB read the very file that varve wrote. The
                overwritten table is measured against the scan of the sorted one: DuckDB over those
                files would give every version of a row, which is another question.
  get           one key: the latency counts; batches of 1,000 keys: the rate. Keys that are there,
                everything in memory. RocksDB gives bytes that nobody takes apart, varve record
                batches.
  transactions  ten keys are read and written anew.
  changes       of a flushed table, and a follower's step behind a writer of single rows; for
                information, since no rival gives them.
  tonbo         the workload of its own harness (bench/tonbo). "bare" is a write of 4 KiB and its
                sync.
"""
import importlib.util
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

from judge import Measure, Slices, conclude, printed_by, rate

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = (1, 64, 1000, 65536)
ROCKS = ("RocksDB", "RocksDB pipelined")
METHODS = ("fdatasync", "O_DIRECT + RWF_DSYNC")
RIVALS = (*ROCKS, "SQLite", "DuckDB")
QUICK = ["--rounds", "1", "--slice", "0.05", "--budget", str(4 << 20), "--scan-rows", "20000",
         "--get-rows", "20000", "--transaction-rows", "20000", "--tonbo-scale", "64"]
DEFAULT = ["--patience", "60"]


def p50(slice_):
    return slice_["p50_us"]


def absent(slices, names):
    return "; ".join(sorted({slices.missing[n] for n in names if n in slices.missing}))


def against(slices, name, case, rivals, target=None, value=rate, at_most=False, missing=None,
            bare=()):
    """varve against the best of the rivals in a case, which is a text with a place for the name.
    `bare`: cases of programs that do the least; the best of them in each round counts."""
    best = (min if at_most else max)
    runs = {r: [value(s) for s in slices.of(case.format(r)).values()] for r in rivals}
    runs = {r: statistics.median(found) for r, found in runs.items() if found}
    rival = best(runs, key=runs.get, default=rivals[0])
    found, dropped = slices.ratios(case.format("varve"), case.format(rival), value)
    least = [slices.ratios(least, case.format(rival), value)[0] for least in bare]
    least = {n: best(one[n] for one in least if n in one) for one in least for n in one}
    return Measure(name, list(found.values()), target, at_most=at_most, unit="x",
                   bare=list(least.values()),
                   note=rival if len(rivals) > 1 and runs else "",
                   dropped=dropped if runs else 0,
                   absent="" if runs else absent(slices, missing or rivals))


def measure_ingest(slices):
    for rows in SIZES:
        case = f"ingest {rows} rows, 1 writers, {{}}"
        small = rows <= 64
        bare = [case.format(f"bare by {method}") for method in METHODS] if small else ()
        yield against(slices, f"ingest, commits of {rows}, against DuckDB", case, ["DuckDB"],
                      10 if small else None, bare=bare)
        yield against(slices, f"ingest, commits of {rows}, against SQLite", case, ["SQLite"],
                      2 if small else None, bare=bare)
        yield against(slices, f"ingest, commits of {rows}, against RocksDB", case, ROCKS, 1,
                      bare=bare)
    yield against(slices, "ingest, commits of 65536, against the best", case, RIVALS, 1.5)
    yield against(slices, "ingest, commits of 65536, DuckDB without key", case,
                  ["DuckDB without key"])
    for name, target in (("varve", 3), *((rocks, None) for rocks in ROCKS)):
        one, many = (f"ingest 1 rows, {n} writers, {name}" for n in (1, 8))
        found, dropped = slices.ratios(many, one, rate)
        yield Measure(f"ingest of single rows, 8 writers over 1, {name}", list(found.values()),
                      target, unit="x", dropped=dropped, absent=absent(slices, [name]))
    yield against(slices, "ingest of single rows, 8 writers, against RocksDB",
                  "ingest 1 rows, 8 writers, {}", ROCKS)


def measure_scan(slices):
    found, dropped = slices.ratios("full scan, varve", "full scan, Arrow", rate)
    yield Measure("full scan, sorted, against Arrow", list(found.values()), 0.9, unit="x",
                  dropped=dropped)
    found, dropped = slices.ratios("full scan overwritten, varve", "full scan, varve", rate)
    yield Measure("full scan, 20 % overwritten, against the one above", list(found.values()), 0.5,
                  unit="x", dropped=dropped)
    for what in ("key", "value"):
        yield against(slices, f"1 % by {what}, against DuckDB", f"1 % by {what}, {{}}",
                      ["DuckDB"], 0.9, missing=["DuckDB scan"])


def measure_get(slices):
    for keys, name, latency, rates in (("one", "get, one key", 3, None),
                                       ("1000", "get, 1,000 keys", None, 0.5)):
        case = f"get {keys}, {{}}"
        yield against(slices, f"{name}, p50 over RocksDB's", case, ["RocksDB"], latency, p50, True,
                      missing=["RocksDB get"])
        yield against(slices, f"{name}, rate against RocksDB", case, ["RocksDB"], rates,
                      missing=["RocksDB get"])
    yield Measure("snapshot open",
                  [s["seconds"] / s["operations"] / 100 * 1e6
                   for s in slices.of("snapshots, 100").values()], 2, at_most=True, unit="us")


def measure_transactions(slices):
    for how, target in (("", 1), (" one by one", None)):
        for threads in (1, 8):
            yield against(slices, f"transactions{how}, {threads} threads, against RocksDB",
                          f"transactions{how}, {threads} threads, {{}}", ["RocksDB"], target,
                          missing=["RocksDB transactions"])


def measure_changes(slices):
    for more in ("", ", with what was before"):
        name = f"changes of a flushed table{more}"
        yield Measure(name, [s["rows"] * rate(s) / 1e6 for s in slices.of(name).values()],
                      unit="M rows/s")
    yield Measure("a follower's step of one row, p50",
                  [p50(s) for s in slices.of("changes, a step of one row").values()], unit="us")


def measure_tonbo(slices):
    for keys in (2048, 65536):
        yield against(slices, f"tonbo's scan of {keys} live rows, against tonbo",
                      f"tonbo scan {keys}, {{}}", ["tonbo"], 20)
    yield against(slices, "tonbo's ingest, commits of 64, against tonbo", "tonbo ingest, {}",
                  ["tonbo"], 10, bare=[f"bare flush by {method}" for method in METHODS])


GROUPS = {"ingest 1 rows, 1 writers, varve": measure_ingest,
          "full scan, varve": measure_scan, "get one, varve": measure_get,
          "transactions, 1 threads, varve": measure_transactions,
          "changes of a flushed table": measure_changes,
          "tonbo ingest, varve": measure_tonbo}


def tonbo_program(folder):
    """Builds bench/tonbo, and gives the options that tell bench_versions about it."""
    if shutil.which("cargo") is None:
        return ["--tonbo-absent", "cargo is not installed"]
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", str(folder),
               "--manifest-path", str(ROOT / "bench" / "tonbo" / "Cargo.toml")]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        lines = built.stderr.strip().splitlines() or ["no reason given"]
        return ["--tonbo-absent", f"cargo could not build it: {lines[0]}"]
    return ["--tonbo", str(folder / "release" / "bench_tonbo")]


def duckdb_library():
    """The options that name the library of DuckDB's wheel, and the libpython it wants."""
    spec = importlib.util.find_spec("_duckdb")
    python = f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0"
    return ["--duckdb", spec.origin, "--python", python] if spec else []


def what_they_did(slices):
    """For information: what each system made of each case, as medians over the rounds."""
    lines = [f"{'case':<46} {'per second':>11} {'p50 us':>9} {'syncs':>7} {'bytes/row':>10}"]
    for case in dict.fromkeys(s["case"] for s in slices.all):
        found = list(slices.of(case).values())
        if not found:
            continue

        def median(value):
            values = [value(s) for s in found if value(s) is not None]
            return statistics.median(values) if values else None

        def shown(value, digits):
            value = median(value)
            return "-" if value is None else f"{value:,.{digits}f}"
        lines.append(
            f"{case:<46} {shown(rate, 1):>11} {shown(lambda s: s.get('p50_us'), 1):>9} "
            f"{shown(lambda s: s['syncs'] / s['operations'] if 'syncs' in s else None, 2):>7} "
            f"{shown(lambda s: s['device_bytes'] / s['rows'] if 'syncs' in s else None, 0):>10}")
    return "\n".join(lines)


def judge(lines, quick=False):
    """The result as data; tables and settings are printed. `lines`: what bench_versions printed."""
    lines = [json.loads(line) for line in lines]
    slices = Slices(lines, quick)
    settings = {line["system"]: line["settings"] for line in lines if "system" in line}
    print("settings:")
    for system, how in settings.items():
        print(f"  {system}: {how}")
    print(f"\n{what_they_did(slices)}\n")
    result = conclude(slices, [measure for case, measures in GROUPS.items() if slices.has(case)
                               for measure in measures(slices)])
    return {"settings": settings, "processors": os.cpu_count(), **result}


def run(binary, folder, arguments=(), quick=False, tonbo=None):
    """Runs bench_versions in `folder`, which must be empty or missing. `tonbo`: where its side is
    built; without, it is left out."""
    found = duckdb_library()
    found += tonbo_program(tonbo) if tonbo else ["--tonbo-absent", "left out"]
    return judge(printed_by(binary, folder, *(QUICK if quick else DEFAULT), *found, *arguments,
                            quick=quick), quick)


def main():
    """Judges what an earlier run of bench_versions printed: versions_suite.py < lines.jsonl"""
    judge(sys.stdin)


if __name__ == "__main__":
    main()
