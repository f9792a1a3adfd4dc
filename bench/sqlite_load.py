#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rival of `varve load` in bench/run.py: a CSV file into SQLite, as one who knows it would.

WAL, synchronous=FULL, as much cache as varve has for its memtables, a WITHOUT ROWID table on the
same key, one prepared statement, one transaction a batch. Columns have types, so SQLite turns text
into integers by itself, which is faster than doing it in Python.

  sqlite_load.py CSV DATABASE KEY ROWS_PER_COMMIT       the whole job, from the file
  sqlite_load.py --commits ...                          the rows are read before the clock starts

Prints the seconds that the load took, as soon as the last commit is durable.
"""
import csv
import itertools
import sqlite3
import sys
import time

INTEGERS = {"year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time",
            "sched_arr_time", "arr_delay", "flight", "air_time", "distance", "hour", "minute"}
CACHE_KIB = 128 << 10


def create(path, header, key):
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("pragma journal_mode=wal")
    database.execute("pragma synchronous=full")
    database.execute(f"pragma cache_size=-{CACHE_KIB}")
    columns = ", ".join(f"{name} {'integer' if name in INTEGERS else 'text'}" for name in header)
    database.execute(f"create table flights({columns}, primary key({key})) without rowid")
    return database


def load(database, width, rows, rows_per_commit):
    insert = f"insert or replace into flights values({', '.join('?' * width)})"
    while batch := list(itertools.islice(rows, rows_per_commit)):
        database.execute("begin")
        database.executemany(insert, batch)
        database.execute("commit")


def main():
    commits_alone = sys.argv[1] == "--commits"
    source, path, key, rows_per_commit = sys.argv[1 + commits_alone:]
    with open(source, newline="") as text:
        lines = csv.reader(text)
        header = next(lines)
        rows = ([None if value == "NA" else value for value in line] for line in lines)
        if commits_alone:
            # Integers are integers already, as they would be in a program that made the rows.
            numbers = [name in INTEGERS for name in header]
            rows = iter([tuple(int(value) if number and value is not None else value
                               for value, number in zip(row, numbers)) for row in rows])
        database = create(path, header, key)
        start = time.perf_counter()
        load(database, len(header), rows, int(rows_per_commit))
        print(time.perf_counter() - start, flush=True)
        database.close()


if __name__ == "__main__":
    main()
