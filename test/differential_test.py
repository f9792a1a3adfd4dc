#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random tables, filters and projections: varve must answer what DuckDB answers over the same rows.

Each case makes a table through the command line (several loads that overwrite each other, deletes,
flushes in between) and keeps what must be in it as a Python dictionary. Then it asks both for the
same random filter, columns, order and limit. A failure prints the case's seed; run it alone with
VARVE_TEST_SEED=<seed> VARVE_CASES=1.

usage: differential_test.py; the build is that of VARVE_BUILD_DIR. 500 cases, 5,000 with VARVE_LONG.
"""

import concurrent.futures
import datetime
import decimal
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
VARVE = BUILD / "varve"
CASES = int(os.environ.get("VARVE_CASES", 5000 if os.environ.get("VARVE_LONG") else 500))
QUERIES = 2
WORDS = ["", "a", "ab", "abc", "b", "ba", "Ä", "z%", "a_b", "x y"]
EPOCH = datetime.datetime(2020, 1, 1)
TYPES = {"int64": pa.int64(), "int32": pa.int32(), "float": pa.float64(), "text": pa.utf8(),
         "flag": pa.bool_(), "time": pa.timestamp("us"), "date": pa.date32(),
         "decimal": pa.decimal128(9, 2),
         "nested": pa.struct([("q", pa.int64()), ("t", pa.utf8())])}
KEY_TYPES = ["int64", "int32", "text", "time", "date", "decimal"]


class Case:
    def __init__(self, seed):
        self.seed = seed
        self.random = random.Random(seed)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="varve-diff-"))
        keys = [self.random.choice(KEY_TYPES) for _ in range(self.random.choice([1, 1, 2]))]
        values = [self.random.choice(list(TYPES)) for _ in range(self.random.randint(1, 5))]
        self.columns = [(f"k{i}", kind) for i, kind in enumerate(keys)]
        self.key = [name for name, _ in self.columns]
        self.columns += [(f"v{i}", kind) for i, kind in enumerate(values)]
        self.span = self.random.choice([5, 40, 1000])  # how many different values a column has
        self.rows = {}
        self.tagged = []  # what the rows were, as of which tag

    def varve(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VARVE_")}
        done = subprocess.run([str(VARVE), *map(str, arguments)], capture_output=True, text=True,
                              check=False, env=environment, cwd=self.folder)
        if done.returncode != 0:
            raise AssertionError(f"varve {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    # --- rows ---

    def value(self, kind):
        number = self.random.randrange(self.span)
        return {"int64": lambda: number - self.span // 3, "int32": lambda: number * 3 - self.span,
                "float": lambda: number / 4 - 2, "flag": lambda: number % 2 == 0,
                "text": lambda: self.random.choice(WORDS) + (str(number) if number % 3 else ""),
                "time": lambda: EPOCH + datetime.timedelta(microseconds=number * 1_500_001),
                "date": lambda: EPOCH.date() + datetime.timedelta(days=number - 20),
                "decimal": lambda: decimal.Decimal(number * 25 - 500) / 100,
                "nested": lambda: {"q": number if number % 4 else None,
                                   "t": self.random.choice(WORDS)}}[kind]()

    def row(self):
        return tuple(self.value(kind) if name in self.key or self.random.random() < 0.85 else None
                     for name, kind in self.columns)

    def table(self, rows, columns=None):
        columns = columns or self.columns
        arrays = [pa.array([row[i] for row in rows], TYPES[kind])
                  for i, (_, kind) in enumerate(columns)]
        return pa.table(arrays, schema=pa.schema([
            pa.field(name, TYPES[kind], nullable=name not in self.key) for name, kind in columns]))

    def write(self, rows, columns=None):
        path = self.folder / "rows.arrow"
        table = self.table(rows, columns)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        return path

    def make(self):
        width = len(self.key)
        for load in range(self.random.randint(1, 3)):
            rows = [self.row() for _ in range(self.random.choice([1, 20, 300]))]
            create = ["--create", "--key", ",".join(self.key)] if load == 0 else []
            commit_rows = self.random.choice([7, 100]) if len(rows) < 100 else 100
            self.varve("load", "db", "t", self.write(rows), *create, "--rows-per-commit",
                       commit_rows, "--threads", 1)
            self.rows.update({row[:width]: row for row in rows})
            if self.random.random() < 0.3:
                self.varve("tag", "db", f"load{load}")
                self.tagged.append((f"load{load}", dict(self.rows)))
            if self.random.random() < 0.4:
                self.varve("flush", "db")
        if self.random.random() < 0.4:
            gone = self.random.sample(sorted(self.rows), len(self.rows) // 3)
            gone = gone or [self.row()[:width]]
            self.varve("delete", "db", "t", "--keys", self.write(gone, self.columns[:width]),
                       "--yes")
            for key in gone:
                self.rows.pop(key, None)

    # --- questions, in the words that both understand ---

    def literal(self, kind):
        value = self.value(kind)
        if kind == "text":
            return "'" + value + "'"
        return f"'{value.isoformat()}'" if kind in ("time", "date") else str(value).lower()

    def term(self):
        name, kind = self.random.choice(self.columns)
        if self.random.random() < 0.1:
            return f"{name} is {self.random.choice(['null', 'not null'])}"
        if kind == "nested":
            field, kind = self.random.choice([("q", "int64"), ("t", "text")])
            name = f"{name}.{field}"
        if kind == "flag":
            return self.random.choice([name, f"not {name}"])
        choice = self.random.randrange(6)
        if choice == 0:
            return f"{name} in ({', '.join(self.literal(kind) for _ in range(3))})"
        if choice == 1:
            return f"{name} between {self.literal(kind)} and {self.literal(kind)}"
        if choice == 2 and kind == "text":
            return f"{name} like '{self.random.choice(['a%', 'ab%', '%b', 'a_%', '%', 'x%1'])}'"
        if choice == 2 and kind in ("int64", "int32", "float"):
            return f"{name} * 2 + 1 > {self.literal('int64')}"
        comparison = self.random.choice(["=", "!=", "<", "<=", ">", ">="])
        return f"{name} {comparison} {self.literal(kind)}"

    def filter(self, depth):
        if depth == 0 or self.random.random() < 0.3:
            return self.term()
        left, right = self.filter(depth - 1), self.filter(depth - 1)
        kind = self.random.randrange(5)
        if kind == 0:
            return f"not ({left})"
        return f"({left} {'or' if kind == 1 else 'and'} {right})"

    def ask(self):
        names = [name for name, _ in self.columns]
        columns = self.random.sample(names, self.random.randint(1, len(names)))
        where = self.filter(2) if self.random.random() < 0.9 else ""
        reverse = self.random.random() < 0.3
        limit = self.random.choice([None, None, 1, 10])
        tag, rows = self.random.choice([("", self.rows), *self.tagged])
        arguments = ["--columns", ",".join(columns)]
        arguments += ["--where", where] if where else []
        arguments += ["--reverse"] if reverse else []
        arguments += ["--limit", limit] if limit is not None else []
        arguments += ["--at", tag] if tag else []
        question = (f"at {tag or 'now'}, columns {columns}, where {where!r}, reverse {reverse}, "
                    f"limit {limit}")
        found = self.found(arguments)
        expected = self.expected(rows, columns, where, reverse, limit)
        if found != expected:
            raise AssertionError(f"{question}\nvarve  {len(found)} rows {found[:5]}\n"
                                 f"DuckDB {len(expected)} rows {expected[:5]}")
        if limit is None and self.random.random() < 0.4:
            counted = int(self.varve("scan", "db", "t", "--count", *arguments[2:]))
            if counted != len(expected):
                raise AssertionError(f"{question}\n--count says {counted} of {len(expected)}")

    def found(self, arguments):
        out = self.folder / "found.arrow"
        self.varve("scan", "db", "t", *arguments, "-o", out, "--yes")
        with pa.ipc.open_file(str(out)) as reader:
            table = reader.read_all()
        return [tuple(row.values()) for row in table.to_pylist()]

    def expected(self, rows, columns, where, reverse, limit):
        with duckdb.connect() as connection:
            connection.register("t", self.table(list(rows.values())))
            order = ", ".join(f"{name} {'desc' if reverse else 'asc'}" for name in self.key)
            sql = f"select {', '.join(columns)} from t {'where ' + where if where else ''} " \
                  f"order by {order} {f'limit {limit}' if limit is not None else ''}"
            return connection.execute(sql).fetchall()

    def run(self):
        try:
            self.make()
            for _ in range(QUERIES):
                self.ask()
        except Exception as problem:  # whatever it is, the seed comes with it
            return f"case of seed {self.seed}: {problem}"
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        return None


def main():
    seed = int(os.environ.get("VARVE_TEST_SEED", 1))
    print(f"{CASES} cases from VARVE_TEST_SEED={seed} on", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [f for f in pool.map(lambda s: Case(s).run(), range(seed, seed + CASES)) if f]
    print("\n".join(failures[:10]) or "varve and DuckDB agree on all of them")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
