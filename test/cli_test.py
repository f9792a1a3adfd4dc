#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The varve command as a user or script meets it: each verb, exit code, bad input and its message.

usage: cli_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR.
"""

import gzip
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import prometheus_client.parser
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
VARVE = BUILD / "varve"
NOBODY = 65534


def clean_environment(**more):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VARVE_")}
    environment.pop("NO_COLOR", None)
    return environment | more


class Ran:
    def __init__(self, done):
        self.exit = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def document(self):
        return json.loads(self.out)


class CliTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="varve-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.db = self.folder / "shop.varve"

    def run_varve(self, *arguments, stdin=b"", env=None, prefix=(), exit_code=None):
        command = [*prefix, str(VARVE), *(str(a) for a in arguments)]
        done = Ran(subprocess.run(command, input=stdin, capture_output=True, timeout=300,
                                  check=False, cwd=self.folder, env=env or clean_environment()))
        if exit_code is not None:
            self.assertEqual(done.exit, exit_code, f"{command}\n{done.out}\n{done.err}")
        return done

    def ok(self, *arguments, **more):
        return self.run_varve(*arguments, exit_code=0, **more)

    def fails(self, exit_code, message, *arguments, **more):
        """The verb ends with this code and one message, which matches the pattern."""
        done = self.run_varve(*arguments, exit_code=exit_code, **more)
        self.assertRegex(done.err, r"\Avarve: ")
        self.assertRegex(done.err, message)
        return done

    def start(self, *arguments, env=None, **more):
        process = subprocess.Popen([VARVE, *(str(a) for a in arguments)], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=env or clean_environment(), **more)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)  # a test that fails leaves nothing running
        return process

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def orders(self, rows=10, first=1):
        return "id,name\n" + "".join(f"{i},order {i}\n" for i in range(first, first + rows))

    def load_orders(self, rows=10, *more):
        file = self.write("orders.csv", self.orders(rows))
        return self.ok("load", self.db, "orders", file, "--create", "--key", "id", *more)

    def scan(self, *more):
        return self.ok("scan", self.db, "orders", "--json", *more).lines()


class VerbsTest(CliTest):
    def test_create_makes_the_database_and_an_empty_table(self):
        made = self.ok("create", self.db, "orders", "--key", "id", "--schema",
                       "id int64, name utf8, at timestamp[us, UTC]", "--json").document()
        self.assertEqual(made["key"], ["id"])
        self.assertEqual([c["name"] for c in made["columns"]], ["id", "name", "at"])
        self.assertEqual(self.scan(), [])
        tables = self.ok("tables", self.db, "--json").document()["tables"]
        self.assertEqual([(t["name"], t["key"]) for t in tables], [("orders", ["id"])])

    def test_one_of_something_is_not_many(self):
        out = self.ok("create", self.db, "orders", "--key", "id", "--schema", "id int64").out
        self.assertIn("created table orders with 1 column in ", out)
        out = self.ok("alter", self.db, "orders", "--add", "n int8").out
        self.assertIn("it has 2 columns\n", out)
        self.assertIn("1 column\n", self.ok("alter", self.db, "orders", "--drop", "n").out)
        self.ok("load", self.db, "orders", self.write("one.csv", "id\n1\n"))
        self.assertRegex(self.ok("stats", self.db).out, r" in (1 segment|\d+ segments), LSN")
        self.ok("log", "append", "a.log", stdin=b"a\n")
        self.assertIn("content   1 unit, 1 record\n", self.ok("log", "stat", "a.log").out)
        self.assertIn(": 1 segment with 1 unit and 1 record, ",
                      self.ok("log", "verify", "a.log").out)

    def test_create_if_not_exists_takes_the_same_table_only(self):
        create = ("create", self.db, "orders", "--key", "id", "--if-not-exists", "--schema")
        self.assertTrue(self.ok(*create, "id int64, name utf8", "--json").document()["created"])
        found = self.ok(*create, "name utf8, id int64", "--json").document()
        self.assertFalse(found["created"])
        self.fails(5, "column 'name': the table has string, expected int64; "
                      "column 'at' .*is not in the table", *create,
                   "id int64, name int64, at date32")
        self.fails(5, "exists already", "create", self.db, "orders", "--key", "id", "--schema",
                   "id int64, name utf8")

    def test_drop_wants_yes_and_older_versions_show_the_table(self):
        self.load_orders()
        would = self.ok("drop", self.db, "orders", "--json").document()
        self.assertEqual(would, {"table": "orders", "dry_run": True, "rows_estimate": 10})
        self.assertEqual(len(self.scan()), 10)
        done = self.ok("drop", self.db, "orders", "--yes", "--json").document()
        self.assertEqual((done["commit"], done["dry_run"]), (2, False))
        self.fails(3, "orders", "scan", self.db, "orders")
        self.assertEqual(self.ok("tables", self.db, "--json").document(), {"tables": []})
        self.assertEqual(len(self.scan("--at", "1")), 10)
        self.fails(3, "orders", "drop", self.db, "orders", "--yes")
        self.load_orders(3)
        self.assertEqual(len(self.scan()), 3)
        self.assertEqual(len(self.scan("--at", "1")), 10)
        self.ok("verify", self.db, "--deep")

    def test_rename_keeps_the_rows_and_the_former_name_of_older_versions(self):
        self.load_orders()
        done = self.ok("rename", self.db, "orders", "sales", "--json").document()
        self.assertEqual(done, {"from": "orders", "to": "sales", "commit": 2})
        self.assertEqual(len(self.ok("scan", self.db, "sales", "--json").lines()), 10)
        self.assertEqual(len(self.scan("--at", "1")), 10)
        self.fails(3, "tables: sales", "rename", self.db, "orders", "old")
        self.load_orders()
        self.fails(5, "sales", "rename", self.db, "orders", "sales")
        self.fails(2, "a/b", "rename", self.db, "orders", "a/b")
        self.fails(2, "rename", "rename", self.db, "orders")
        tables = self.ok("tables", self.db, "--json").document()["tables"]
        self.assertEqual([(t["name"], t["id"]) for t in tables], [("orders", 2), ("sales", 1)])

    def test_alter_changes_columns_in_one_commit(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema",
                "id int64, name utf8, n int8, old utf8")
        rows = self.write("rows.csv", "id,name,n,old\n1,a,100,x\n2,b,,y\n")
        self.ok("load", self.db, "orders", rows)
        done = self.ok("alter", self.db, "orders", "--add", "status utf8 not null default open now",
                       "--add", "tags list<int32> default [1,2]", "--add", "old int32",
                       "--rename", "name=title", "--widen", "n int64", "--drop", "old",
                       "--json").document()
        self.assertEqual(done["commit"], 2)
        self.assertEqual([(c["name"], c["type"]) for c in done["columns"]],
                         [("id", "int64"), ("title", "string"), ("n", "int64"),
                          ("status", "string"), ("tags", "list<item: int32>"), ("old", "int32")])
        self.assertEqual(self.scan(),
                         [{"id": i, "title": t, "n": n, "status": "open now", "tags": [1, 2],
                           "old": None} for i, t, n in ((1, "a", 100), (2, "b", None))])
        self.assertEqual(self.scan("--at", "1")[0],
                         {"id": 1, "name": "a", "n": 100, "old": "x"})
        self.ok("flush", self.db)
        self.assertEqual(len(self.scan("--where", "status = 'open now' and n > 99")), 1)
        self.ok("verify", self.db, "--deep")

    def test_rows_expire_by_a_column_and_a_table_says_so(self):
        create = ("create", self.db, "sessions", "--key", "id", "--schema",
                  "id int64, at int64, name utf8")
        self.fails(2, "needs both --ttl", *create, "--ttl", "30d")
        self.fails(2, "expected s, ms, us or ns", *create, "--ttl", "30d", "--ttl-column", "at",
                   "--ttl-unit", "days")
        self.fails(2, "column 'at' is int64: say what it counts, --ttl-unit", *create, "--ttl",
                   "30d", "--ttl-column", "at")
        self.fails(2, "rows cannot expire by column 'name'", *create, "--ttl", "30d",
                   "--ttl-column", "name")
        self.assertFalse(os.path.exists(self.db))
        ttl = ("--ttl", "30d", "--ttl-column", "at", "--ttl-unit", "s")
        made = self.ok(*create, *ttl, "--json").document()
        live = {"column": "at", "micros": 30 * 86400 * 10**6, "unit": "s"}
        self.assertEqual(made["time_to_live"], live)
        self.fails(5, "time to live", *create, "--if-not-exists")
        self.ok(*create, *ttl, "--if-not-exists")
        now = int(time.time())
        rows = self.write("rows.csv", "id,at,name\n1,%d,old\n2,%d,new\n3,,never\n"
                          % (now - 31 * 86400, now))
        self.ok("load", self.db, "sessions", rows)
        names = lambda: [r["name"] for r in
                         self.ok("scan", self.db, "sessions", "--json").lines()]
        self.assertEqual(names(), ["new", "never"])
        self.assertIn("rows expire 30d after at (in s)", self.ok("tables", self.db).out)
        document = self.ok("tables", self.db, "--json").document()
        self.assertEqual(document["tables"][0]["time_to_live"], live)
        made_in = os.path.join(self.db, "manifest", "%020d" % 2)
        self.assertIn("2592000s by at (s)", self.ok("inspect", made_in).out)
        self.fails(2, "rows expire by it", "alter", self.db, "sessions", "--drop", "at")
        done = self.ok("alter", self.db, "sessions", "--no-ttl", "--json").document()
        self.assertIsNone(done["time_to_live"])
        self.assertEqual(names(), ["old", "new", "never"])
        self.fails(2, "exclude each other", "alter", self.db, "sessions", "--no-ttl", *ttl)
        self.ok("alter", self.db, "sessions", "--rename", "at=seen", "--ttl", "1h",
                "--ttl-column", "seen", "--ttl-unit", "s")
        self.assertEqual(names(), ["new", "never"])
        self.ok("compact", self.db)
        self.assertEqual(names(), ["new", "never"])
        self.ok("verify", self.db, "--deep")

    def test_widening_keeps_not_null_unless_null_is_said(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema",
                "id int64, a int8 not null, b int8 not null, c int8, \"d null\" int8 not null, "
                "e int8 not null, f int8 not null")
        done = self.ok("alter", self.db, "orders", "--rename", "a=a2", "--rename", "e=t",
                       "--rename", "c=e", "--rename", "t=c", "--widen", "a2 int16", "--widen",
                       "b int16 NULL ", "--widen", "c int16", "--widen", "e int32", "--widen",
                       '"d null" int16', "--widen", "f int16 not null", "--json").document()
        self.assertEqual([(c["name"], c["type"], c["nullable"]) for c in done["columns"]],
                         [("id", "int64", True), ("a2", "int16", False), ("b", "int16", True),
                          ("e", "int32", True), ("d null", "int16", False), ("c", "int16", False),
                          ("f", "int16", False)])
        self.fails(2, "cannot become", "alter", self.db, "orders", "--widen", "b int16 not null")
        self.fails(2, "int16 not null cannot become null", "alter", self.db, "orders", "--widen",
                   "a2 null")
        self.fails(3, "the database has orders", "alter", self.db, "wings", "--widen", "b int32")
        self.assertIn("null | not null", self.ok("alter", "--help").out)

    def test_names_in_quotes_are_understood_by_every_flag(self):
        comma, equals, quote, blank = "a,b", "c=d", 'say "x"', " e "
        quoted = ['"a,b"', '"c=d"', '"say ""x"""', '" e "']
        for verb in ("create", "load", "scan", "changes", "alter"):
            self.assertIn("double quotes", " ".join(self.ok(verb, "--help").out.split()))
        made = self.ok("create", self.db, "orders", "--key", ",".join(quoted[:2]), "--schema",
                       " int64, ".join(quoted) + " int64", "--json").document()
        self.assertEqual(made["key"], [comma, equals])
        rows = self.write("rows.jsonl", json.dumps({comma: 1, equals: 2, quote: 3, blank: 4}))
        self.ok("load", self.db, "orders", rows)
        self.assertEqual(self.scan("--columns", ", ".join(reversed(quoted))),
                         [{blank: 4, quote: 3, equals: 2, comma: 1}])
        changed = self.ok("changes", self.db, "orders", "--from", 0, "--columns", quoted[0],
                          "--json").lines()
        self.assertEqual(changed, [{"_commit": 1, "_kind": "upsert", equals: 2, comma: 1}])
        update = self.write("update.jsonl", json.dumps({comma: 1, equals: 2, quote: 5, "g": 0}))
        self.ok("load", self.db, "orders", update, "--mode", "update", "--columns", quoted[2])
        self.ok("load", self.db, "more", rows, "--create", "--key", quoted[3] + " , " + quoted[0])
        self.assertEqual(self.ok("tables", self.db, "--json").document()["tables"][0]["key"],
                         [blank, comma])
        done = self.ok("alter", self.db, "orders", "--rename", quoted[1] + '="f,=g"', "--rename",
                       "a,b=h", "--drop", quoted[3], "--add",
                       '"a default b" utf8 default "1 default 2"', "--json").document()
        self.assertEqual(done["key"], ["h", "f,=g"])
        self.assertEqual(self.scan(), [{"h": 1, "f,=g": 2, quote: 5, "a default b": "1 default 2"}])
        scan = ("scan", self.db, "orders", "--columns")
        self.fails(2, "at the end of the name", *scan, 'h,"f')
        self.fails(2, "behind a quoted name", *scan, '"h"f')
        self.fails(2, "expected a column name", *scan, "h,,h")
        self.fails(2, "between the quotes", *scan, 'h,""')

    def test_a_default_in_single_quotes_is_the_text_between_them(self):
        self.load_orders(1)
        add = ("alter", self.db, "orders", "--add")
        self.ok(*add, "a utf8 default 'open'", "--add", "b utf8 not null default  'it''s \"5\"' ",
                "--add", "c utf8 default ''", "--add", "d date32 default '2026-01-02'",
                "--add", "e utf8 default null", "--add", "f utf8 default 'null'",
                "--add", "g utf8 default ''" + "''")
        self.assertEqual(self.scan("--columns", "a,b,c,d,e,f,g"),
                         [{"a": "open", "b": 'it\'s "5"', "c": "", "d": "2026-01-02", "e": None,
                           "f": "null", "g": "'"}])
        for text in ("'", "'open", "'it's'", "'a' b", "'" * 3):
            self.fails(2, "expected one ' at the end", *add, "x utf8 default " + text)
        self.assertIn("single quotes", self.ok("alter", "--help").out)
        self.assertIn("rows written later must bring the column", self.ok("alter", "--help").out)

    def test_alter_refuses_what_cannot_be(self):
        self.load_orders()
        alter = ("alter", self.db, "orders")
        self.fails(2, "at least one of", *alter)
        self.fails(2, "expected one column", *alter, "--add", "a int8, b int8")
        self.fails(2, "OLD=NEW", *alter, "--rename", "name")
        self.fails(2, "default many", *alter, "--add", "n int8 default many")
        self.fails(2, "key column cannot be dropped", *alter, "--drop", "id")
        self.fails(2, "string cannot become int64", *alter, "--widen", "name int64")
        self.fails(2, "needs a value", *alter, "--add", "n int8 not null")
        self.fails(3, "the table has id, name", *alter, "--drop", "wings")
        self.fails(3, "tables: orders", "alter", self.db, "wings", "--drop", "name")
        versions = self.ok("versions", self.db, "--json").document()["versions"]
        self.assertEqual(len(versions), 1)

    def test_create_takes_types_as_tables_prints_them(self):
        types = ["bool", "int8", "uint64", "float16", "float32", "float64", "utf8", "large_utf8",
                 "utf8_view", "binary", "large_binary", "binary_view", "fixed_size_binary[3]",
                 "date32", "date64", "time32[s]", "time32[ms]", "time64[us]", "time64[ns]",
                 "timestamp[ns]", "timestamp[us, UTC]", "timestamp[s, Europe/Zurich]",
                 "duration[ms]", "decimal32(5, 2)", "decimal64(12, 2)", "decimal(10, 2)",
                 "decimal256(50, 3)", "list<int32>", "large_list<utf8 not null>",
                 "fixed_size_list<date32>[2]", "struct<\"a b\": int8 not null, c: list<date64>>",
                 "map<utf8, date32>", "dictionary<values=utf8, indices=int32, ordered=1>"]
        columns = ["id int64 not null"] + [f"c{i} {t}" for i, t in enumerate(types)]
        self.ok("create", self.db, "a", "--key", "id", "--schema", ", ".join(columns))
        printed = self.ok("tables", self.db).out.splitlines()[1:]
        self.assertEqual(len(printed), len(columns))
        self.ok("create", self.db, "b", "--key", "id", "--schema", ",".join(printed))
        a, b = self.ok("tables", self.db, "--json").document()["tables"]
        self.assertEqual(a["columns"], b["columns"])
        self.ok("create", self.db, "a", "--key", "id", "--schema", ",".join(printed),
                "--if-not-exists")

    def test_create_takes_columns_from_a_file(self):
        pq.write_table(pa.table({"id": [1], "price": [1.5]}), self.folder / "like.parquet")
        self.ok("create", self.db, "orders", "--key", "id", "--like", "like.parquet")
        columns = self.ok("tables", self.db, "--json").document()["tables"][0]["columns"]
        self.assertEqual([(c["name"], c["type"]) for c in columns],
                         [("id", "int64"), ("price", "double")])

    def test_a_header_without_rows_makes_strings_and_says_so(self):
        load = ("load", self.db, "orders", self.write("t.csv", "id,n\n"), "--create", "--key", "id")
        done = self.ok(*load)
        self.assertRegex(done.err, r"\Avarve: warning: .*t.csv has no rows.* strings; --schema ")
        self.assertEqual(self.ok(*load).err, "", "the table has its types")
        other = self.ok(*load[:2], "other", *load[3:], "--json")
        self.assertIn("no rows", json.loads(other.err)["warning"])
        self.assertEqual(self.ok(*load[:2], "more", *load[3:], "--schema", "id int64, n int8").err,
                         "")

    def test_load_prints_a_line_for_each_commit(self):
        file = self.write("orders.csv", self.orders(25))
        done = self.ok("load", self.db, "orders", file, "--create", "--key", "id",
                       "--rows-per-commit", "10", "--commits")
        lines = done.out.splitlines()
        first = json.loads(lines[0])["commit"]
        self.assertEqual(lines, [
            '{"commit":%d,"rows":10,"rows_total":10}' % first,
            '{"commit":%d,"rows":10,"rows_total":20}' % (first + 1),
            '{"commit":%d,"rows":5,"rows_total":25}' % (first + 2)])
        self.assertEqual([r["id"] for r in self.scan()], list(range(1, 26)))

    def test_load_with_threads_keeps_every_row(self):
        file = self.write("orders.csv", self.orders(5000))
        done = self.ok("load", self.db, "orders", file, "--create", "--key", "id",
                       "--rows-per-commit", "100", "--threads", "4", "--commits")
        self.assertEqual(max(r["rows_total"] for r in done.lines()), 5000)
        self.assertEqual(len({r["commit"] for r in done.lines()}), 50)
        self.assertEqual(self.ok("scan", self.db, "orders", "--count").out, "5000\n")

    def test_load_replaces_rows_with_the_same_key(self):
        self.load_orders(3)
        self.ok("load", self.db, "orders", self.write("b.jsonl", '{"id":2,"name":"new"}\n'))
        self.assertEqual([r["name"] for r in self.scan()], ["order 1", "new", "order 3"])

    def test_every_input_format_gives_the_same_rows(self):
        table = pa.table({"id": [1, 2, 3], "name": ["a", None, "c"]})
        pq.write_table(table, self.folder / "t.parquet")
        with pa.ipc.new_file(self.folder / "t.arrow", table.schema) as out:
            out.write_table(table)
        with pa.ipc.new_stream(self.folder / "t.ipc", table.schema) as out:
            out.write_table(table)
        text = "id,name\n1,a\n2,NA\n3,c\n"
        self.write("t.csv", text)
        self.write("t.tsv", text.replace(",", "\t"))
        self.write("t.csv.gz", gzip.compress(text.encode()))
        self.write("t.csv.zst", pa.compress(text.encode(), "zstd", asbytes=True))
        self.write("t.jsonl", '{"id":1,"name":"a"}\n{"id":2}\n{"id":3,"name":"c"}\n')
        for name in ("t.parquet", "t.arrow", "t.ipc", "t.csv", "t.tsv", "t.csv.gz", "t.csv.zst",
                     "t.jsonl"):
            with self.subTest(name):
                database = self.folder / (name + ".varve")
                self.ok("load", database, "t", name, "--create", "--key", "id", "--null", "NA")
                rows = self.ok("scan", database, "t", "--json").lines()
                self.assertEqual(rows, [{"id": 1, "name": "a"}, {"id": 2, "name": None},
                                        {"id": 3, "name": "c"}])

    def test_flags_that_repeat_take_one_value_each_time(self):
        file = self.write("t.csv", 'id,s,n\n1,NA,5\n2,,6\n3,"",7\n')
        self.ok("load", "--create", "--key", "id", "--null", "NA", "--null", "", self.db, "orders",
                file)
        self.assertEqual([r["s"] for r in self.scan()], [None, None, ""])
        self.fails(2, "DB: expected a value", "load", "--null", "NA", "", self.db, "orders", file)
        self.assertIn("--null NA --null ''", self.ok("load", "--help").out)
        self.assertRegex(self.ok("load", "--help").out, "--null TEXT  +Text that means null")
        self.ok("alter", "--drop", "s", "--drop", "n", self.db, "orders")
        self.assertEqual(self.scan(), [{"id": 1}, {"id": 2}, {"id": 3}])
        self.ok("alter", "--add", "s utf8", self.db, "orders")
        self.ok("alter", "--rename", "s=t", self.db, "orders")
        self.ok("delete", "--keys", file, "--null", "x", self.db, "orders")

    def test_stdin_needs_its_format_named(self):
        self.fails(2, "--input-format", "load", self.db, "t", "-", "--create", "--key", "id")
        self.ok("load", self.db, "orders", "-", "--input-format", "csv", "--create", "--key", "id",
                stdin=self.orders(4).encode())
        self.assertEqual(len(self.scan()), 4)

    def test_scan_chooses_columns_rows_and_order(self):
        self.load_orders(10)
        rows = self.scan("--columns", "name,id", "--where", "id > 3 and id < 9", "--limit", "2",
                         "--reverse")
        self.assertEqual(rows, [{"name": "order 8", "id": 8}, {"name": "order 7", "id": 7}])
        self.assertEqual(list(rows[0]), ["name", "id"])
        counted = self.ok("scan", self.db, "orders", "--count", "--where", "id > 3", "--json")
        self.assertEqual(counted.document(), {"count": 7})

    def test_scan_writes_every_format(self):
        self.load_orders(100)
        for name in ("o.csv", "o.json", "o.arrow", "o.parquet", "o.csv.gz"):
            self.ok("scan", self.db, "orders", "-o", name)
        self.assertEqual(pq.read_table(self.folder / "o.parquet").num_rows, 100)
        self.assertEqual(pa.ipc.open_file(self.folder / "o.arrow").read_all().num_rows, 100)
        self.assertEqual((self.folder / "o.csv").read_text(), self.orders(100))
        self.assertEqual(gzip.decompress((self.folder / "o.csv.gz").read_bytes()).decode(),
                         self.orders(100))
        stream = subprocess.run([VARVE, "scan", self.db, "orders", "--format", "arrow"],
                                capture_output=True, check=True, env=clean_environment()).stdout
        self.assertEqual(pa.ipc.open_stream(stream).read_all().num_rows, 100)
        self.assertFalse([p for p in self.folder.iterdir() if ".partial-" in p.name])

    def test_scan_as_of_an_earlier_commit(self):
        self.load_orders(10, "--rows-per-commit", "5")
        commits = self.ok("versions", self.db, "--json").document()["versions"]
        earlier = sorted(v["commit"] for v in commits)[-2]
        self.assertEqual(len(self.scan("--at", str(earlier))), 5)
        self.assertEqual(len(self.scan("--at", "2200-01-01T00:00:00Z")), 10)
        self.fails(3, ".", "scan", self.db, "orders", "--at", "1000000")
        self.fails(3, "no tag", "scan", self.db, "orders", "--at", "nightly")
        self.fails(2, "--at", "scan", self.db, "orders", "--at", "12.5")

    def test_changes_tell_what_commits_did(self):
        self.load_orders(2)
        loaded = self.ok("stats", self.db, "--json").document()["visible"]
        self.ok("flush", self.db)
        self.ok("load", self.db, "orders", self.write("u.csv", "id,name\n2,new\n3,third\n"))
        self.ok("delete", self.db, "orders", "--yes", "--keys",
                self.write("d.csv", "id\n1\n9\n"))

        def changes(*more):
            return self.ok("changes", self.db, "orders", "--json", "--from", loaded, *more).lines()

        self.assertEqual(changes(), [
            {"_commit": loaded + 1, "_kind": "upsert", "id": 2, "name": "new"},
            {"_commit": loaded + 1, "_kind": "upsert", "id": 3, "name": "third"},
            {"_commit": loaded + 2, "_kind": "delete", "id": 1, "name": None}])
        self.assertEqual(changes("--before", "--columns", "name"), [
            {"_commit": loaded + 1, "_kind": "update", "id": 2, "name": "new",
             "_before_name": "order 2"},
            {"_commit": loaded + 1, "_kind": "insert", "id": 3, "name": "third",
             "_before_name": None},
            {"_commit": loaded + 2, "_kind": "delete", "id": 1, "name": None,
             "_before_name": "order 1"}])
        self.assertEqual([list(row) for row in changes("--columns", "name,id")],
                         [["_commit", "_kind", "name", "id"]] * 3)
        self.assertEqual(len(changes("--to", loaded + 1)), 2)
        self.assertEqual(changes("--to", loaded), [])
        text = self.ok("changes", self.db, "orders", "--from", 0, "--format", "csv").out
        self.assertEqual(text.splitlines()[0], "_commit,_kind,id,name")
        self.assertEqual(len(text.splitlines()), 6)
        for name in ("c.arrow", "c.parquet"):
            self.ok("changes", self.db, "orders", "--from", 0, "-o", name)
        self.assertEqual(pq.read_table(self.folder / "c.parquet").num_rows, 5)

        self.fails(2, "end before they begin", "changes", self.db, "orders", "--from", loaded + 1,
                   "--to", loaded)
        self.fails(3, "future", "changes", self.db, "orders", "--from", 1000)
        self.fails(3, "no table", "changes", self.db, "ordres", "--from", 0)
        self.fails(2, "wings", "changes", self.db, "orders", "--from", 0, "--columns", "wings")
        self.fails(2, "--from", "changes", self.db, "orders")
        self.fails(2, "--to: expected", "changes", self.db, "orders", "--from", 0, "--to", "1.5")

    def test_a_moment_before_the_first_commit(self):
        self.load_orders(4, "--rows-per-commit", "2")
        for _ in range(2):
            changed = self.ok("changes", self.db, "orders", "--from", "-1h", "--json").lines()
            self.assertEqual([row["_commit"] for row in changed], [1, 1, 2, 2])
            for verb in (("scan",), ("get", "1"), ("restore",)):
                self.fails(3, "no version as old as .*: the oldest is commit 1 of .*; ask for that",
                           verb[0], self.db, "orders", *verb[1:], "--at", "-1h")
            self.fails(3, "the oldest is commit 1", "changes", self.db, "orders", "--from", "0",
                       "--to", "-1h")
            self.ok("flush", self.db)
        self.fails(3, "no tag", "changes", self.db, "orders", "--from", "nightly")

    def test_a_moment_is_exact_also_after_a_flush(self):
        self.load_orders(10, "--rows-per-commit", "2")
        commits = self.ok("versions", self.db, "--json").document()["versions"]
        self.assertEqual(len(commits), 5)
        self.ok("flush", self.db)
        self.assertEqual(len(self.ok("versions", self.db, "--json").document()["versions"]), 1)
        for index, version in enumerate(sorted(commits, key=lambda v: v["commit"])):
            self.assertEqual(len(self.scan("--at", version["time"])), 2 * (index + 1))
        self.fails(3, "the oldest is commit 1", "scan", self.db, "orders", "--at", "2001-01-01")

    def test_tags_name_commits(self):
        self.load_orders(10, "--rows-per-commit", "2")
        made = self.ok("tag", self.db, "half", "--at", "3", "--json").document()
        self.assertEqual((made["tag"], made["commit"]), ("half", 3))
        self.ok("flush", self.db)
        self.assertEqual(len(self.scan("--at", "half")), 6)
        self.assertEqual(self.ok("scan", self.db, "orders", "--at", "half", "--count").out, "6\n")
        self.assertIn("commit 5", self.ok("tag", self.db, "all").out)
        versions = self.ok("versions", self.db, "--json").document()["versions"]
        self.assertEqual([(v["commit"], v["tags"]) for v in versions],
                         [(5, ["all"]), (3, ["half"])])
        self.assertIn("half", self.ok("versions", self.db).out)
        tags = self.ok("tag", self.db, "--json").document()["tags"]
        self.assertEqual([(t["tag"], t["commit"]) for t in tags], [("all", 5), ("half", 3)])
        self.assertEqual(tags[1]["time"], made["time"])
        self.fails(5, "--yes moves it", "tag", self.db, "half")
        self.assertEqual(len(self.scan("--at", "half")), 6)
        self.ok("tag", self.db, "half", "--yes", "--at", "all")
        self.assertEqual(len(self.scan("--at", "half")), 10)
        self.assertIn("commit 5", self.ok("untag", self.db, "half").out)
        self.fails(3, "no tag 'half' .tags: all", "scan", self.db, "orders", "--at", "half")
        self.fails(3, "no tag", "untag", self.db, "half")
        self.fails(3, "no tag", "tag", self.db, "x", "--at", "half")
        for name in ("7", "2026-11-20", "a b", ".a"):
            self.fails(2, "no tag name", "tag", self.db, name)
        self.fails(2, "--at", "tag", self.db, "x", "--at", "12.5")
        self.fails(2, "NAME", "tag", self.db, "--at", "1")
        self.assertEqual(self.ok("verify", self.db).out.count("damage"), 0)

    def test_get_as_of_an_earlier_version(self):
        self.load_orders(4, "--rows-per-commit", "2")
        self.ok("tag", self.db, "early", "--at", "1")
        self.fails(3, "no row", "get", self.db, "orders", "3", "--at", "early")
        self.ok("get", self.db, "orders", "1", "--at", "early")
        self.ok("get", self.db, "orders", "3")

    def test_restore_makes_a_table_what_it_was(self):
        self.load_orders(6, "--rows-per-commit", "2")
        self.ok("flush", self.db)
        self.ok("delete", self.db, "orders", "--where", "id = 1", "--yes")  # commit 4
        shown = self.ok("restore", self.db, "orders", "--at", "1", "--json").document()
        self.assertEqual(shown, {"table": "orders", "as_of": 1, "dry_run": True,
                                 "rows_written": 1, "rows_deleted": 4, "commit": 0})
        self.assertIn("add --yes", self.ok("restore", self.db, "orders", "--at", "1").out)
        self.assertNotIn("--yes", self.ok("restore", self.db, "orders", "--at", "1",
                                          "--dry-run").out)
        self.assertEqual(len(self.scan()), 5)
        done = self.ok("restore", self.db, "orders", "--at", "1", "--yes", "--json").document()
        self.assertEqual((done["dry_run"], done["commit"]), (False, 5))
        self.assertEqual([row["id"] for row in self.scan()], [1, 2])
        self.assertEqual(len(self.scan("--at", "4")), 5)
        self.ok("tag", self.db, "before", "--at", "4")
        self.assertIn("in commit 6", self.ok("restore", self.db, "orders", "--at", "before",
                                             "--yes").out)
        self.assertEqual(len(self.scan()), 5)
        again = self.ok("restore", self.db, "orders", "--at", "before", "--yes", "--json")
        self.assertEqual(again.document()["commit"], 0)
        self.fails(3, "no table", "restore", self.db, "other", "--at", "1", "--yes")
        self.fails(3, "future", "restore", self.db, "orders", "--at", "99", "--yes")
        self.fails(3, "no tag", "restore", self.db, "orders", "--at", "nightly")
        self.fails(2, "--at", "restore", self.db, "orders", "--yes")
        self.fails(2, "exclude", "restore", self.db, "orders", "--at", "1", "--yes", "--dry-run")

    def test_restore_compares_the_values_of_dictionaries(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema",
                "id int64, s dictionary<values=utf8, indices=int32, ordered=0>")
        for rows in ("1,a\n2,b\n3,c\n", "1,a\n3,c\n", "2,b\n"):
            self.ok("load", self.db, "orders", self.write("rows.csv", "id,s\n" + rows))
        restore = ("restore", self.db, "orders", "--at", "1", "--json")
        self.assertEqual(self.ok(*restore, "--dry-run").document()["rows_written"], 0)
        self.assertEqual(self.ok(*restore, "--yes").document()["commit"], 0)

    def test_about_how_many_rows_a_table_has_is_no_less(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema", "id int64")
        for first in (1, 11):
            ids = "\n".join(str(i) for i in range(first, first + 5))
            keys = self.write("rows.csv", f"id\n{ids}\n")
            self.ok("load", self.db, "orders", keys)
            if first == 11:
                self.ok("delete", self.db, "orders", "--keys", keys, "--yes")
            self.ok("flush", self.db)
            self.assertIn("; at most 5 rows", self.ok("tables", self.db).out)
            self.assertIn("; at most 5 rows", self.ok("stats", self.db).out)
        self.assertEqual(self.ok("scan", self.db, "orders", "--count").out, "5\n")

    def test_drop_says_how_many_rows_would_go(self):
        for rows in (5, 7):  # five keys twice, in two files
            self.load_orders(rows)
            self.ok("flush", self.db)
        self.assertIn("drop table orders with 7 rows;", self.ok("drop", self.db, "orders").out)
        self.assertIn("dropped table orders with at most ",
                      self.ok("drop", self.db, "orders", "--yes").out)

    def test_scan_explains_what_it_reads(self):
        self.load_orders(10)
        self.ok("flush", self.db)
        plan = self.ok("scan", self.db, "orders", "--explain", "--json").document()
        self.assertTrue(plan["sources"])
        self.assertLessEqual({"name", "bytes_read", "row_groups", "row_groups_read", "reason"},
                             set(plan["sources"][0]))
        self.assertIn("as of commit", self.ok("scan", self.db, "orders", "--explain").out)

    def test_scan_says_where_its_time_went(self):
        self.load_orders(10)
        ran = self.ok("scan", self.db, "orders", "--profile", "--json")
        self.assertEqual(len(ran.lines()), 10)
        profile = json.loads(ran.err)
        self.assertEqual((profile["rows"], profile["batches"]), (10, 1))
        self.assertGreater(profile["read_micros"], 0)
        self.assertLessEqual(profile["first_micros"], profile["read_micros"])
        self.assertRegex(self.ok("scan", self.db, "orders", "--profile").err,
                         r"^10 rows read in [0-9.]+ ms, 1 batch: [0-9.]+ ms to plan, ")
        self.fails(2, "--profile measures", "scan", self.db, "orders", "--profile", "--count")

    def test_get_prints_rows_and_names_missing_keys(self):
        self.load_orders(5)
        self.assertEqual(self.ok("get", self.db, "orders", "4", "2", "--json").lines(),
                         [{"id": 4, "name": "order 4"}, {"id": 2, "name": "order 2"}])
        done = self.fails(3, "no row with key 77, 78", "get", self.db, "orders", "1", "77", "78",
                          "--format", "json")
        self.assertEqual(done.lines(), [{"id": 1, "name": "order 1"}])

    def test_get_takes_composite_and_string_keys(self):
        self.write("t.csv", "a,b\nx,1\nx,2\n")
        self.ok("load", self.db, "pairs", "t.csv", "--create", "--key", "a,b")
        self.assertEqual(self.ok("get", self.db, "pairs", '["x",2]', "--json").lines(),
                         [{"a": "x", "b": 2}])
        self.ok("load", self.db, "words", "t.csv", "--create", "--key", "a")
        self.assertEqual(self.ok("get", self.db, "words", "x", "--json").lines(),
                         [{"a": "x", "b": 2}])
        keys = ["42", "-1.50", "true", "null", "[1]", 'a "b"', "x y"]
        self.write("k.jsonl", "\n".join(json.dumps({"k": key}) for key in keys))
        self.ok("create", self.db, "texts", "--key", "k", "--schema", "k utf8")
        self.ok("load", self.db, "texts", "k.jsonl")
        for key in keys:
            bare = json.dumps(key) if "[" in key else key
            for said in {json.dumps(key), json.dumps([key]), bare}:
                self.assertEqual(self.ok("get", self.db, "texts", said, "--json").lines(),
                                 [{"k": key}])
        self.fails(3, "no row with key 1.50", "get", self.db, "texts", "1.50")
        self.fails(2, "expected 2 values", "get", self.db, "pairs", '["x"]')
        self.fails(2, "column b: expected int64", "get", self.db, "pairs", '["x",1.5]')

    def test_delete_shows_before_it_does(self):
        self.load_orders(10)
        keys = self.write("keys.csv", "id,note\n2,a\n3,b\n99,c\n")
        shown = self.ok("delete", self.db, "orders", "--keys", keys, "--json").document()
        self.assertEqual((shown["dry_run"], shown["rows"], shown["missing"]), (True, 2, 1))
        self.assertEqual(len(self.scan()), 10)
        done = self.ok("delete", self.db, "orders", "--keys", keys, "--yes", "--json").document()
        self.assertEqual((done["dry_run"], done["rows"], done["missing"]), (False, 2, 1))
        self.ok("delete", self.db, "orders", "--where", "id >= 9", "--yes")
        self.assertEqual([r["id"] for r in self.scan()], [1, 4, 5, 6, 7, 8])

    def test_delete_by_condition_is_one_commit(self):
        self.load_orders(10, "--rows-per-commit", "1")
        shown = self.ok("delete", self.db, "orders", "--where", "id > 2", "--json").document()
        self.assertEqual((shown["dry_run"], shown["rows"], shown["commits"]), (True, 8, 0))
        done = self.ok("delete", self.db, "orders", "--where", "id > 2", "--yes",
                       "--json").document()
        self.assertEqual((done["rows"], done["commits"], done["last_commit"]), (8, 1, 11))
        none = self.ok("delete", self.db, "orders", "--where", "id > 2", "--yes",
                       "--json").document()
        self.assertEqual((none["rows"], none["commits"]), (0, 0))

    def test_load_inserts_only_what_is_not_there(self):
        self.load_orders(3)
        file = self.write("more.csv", "id,name\n4,new\n3,other\n")
        self.fails(5, "key 3 is there already", "load", self.db, "orders", file, "--mode", "insert")
        self.assertEqual(len(self.scan()), 3)
        done = self.ok("load", self.db, "orders", file, "--mode", "insert-missing",
                       "--json").document()
        self.assertEqual((done["rows"], done["passed"]), (2, 1))
        self.assertEqual(done["kept"], 1)
        self.assertEqual([r["name"] for r in self.scan()], ["order 1", "order 2", "order 3", "new"])

    def test_load_updates_the_named_columns(self):
        self.write("t.csv", "id,a,b\n1,x,1\n2,y,2\n")
        self.ok("load", self.db, "t", "t.csv", "--create", "--key", "id")
        self.write("u.csv", "id,b,other\n2,20,-\n9,90,-\n")
        update = ("load", self.db, "t", "u.csv", "--columns", "b")
        self.fails(3, "key 9 is not there", *update, "--mode", "update")
        self.fails(2, "--columns names what", *update)
        self.fails(2, "found 'upset'", "load", self.db, "t", "t.csv", "--mode", "upset")
        done = self.ok(*update, "--mode", "update-existing", "--json").document()
        self.assertEqual(done["passed"], 1)
        self.assertEqual(self.ok("scan", self.db, "t", "--json").lines(),
                         [{"id": 1, "a": "x", "b": 1}, {"id": 2, "a": "y", "b": 20}])

    def test_an_update_sets_only_the_fields_that_lines_have(self):
        rows = [{"id": i, "city": c, "n": n} for i, c, n in ((1, "Oslo", 5), (2, "Rome", 6))]
        self.write("t.jsonl", "\n".join(json.dumps(row) for row in rows))
        self.ok("load", self.db, "orders", "t.jsonl", "--create", "--key", "id")

        def update(text, *more):
            return "load", self.db, "orders", self.write("u.jsonl", text), "--mode", *more

        self.ok(*update('{"id":2,"city":"Lyon"}\n', "update"))
        rows[1]["city"] = "Lyon"
        self.assertEqual(self.scan(), rows)
        self.ok(*update('\n{"n":7,"id":1}\n{"id":9,"n":9}\n', "update-existing"))
        rows[0]["n"] = 7
        self.assertEqual(self.scan(), rows)
        for text, why, *more in (
                ('{"id":1,"city":"a"}\n{"id":2}\n', "line 2: no field 'city'; give it, null if"),
                ('{"id":1,"city":"a"}\n{"id":2,"city":"b","n":1}\n',
                 "line 2: field 'n' is not in the first line"),
                ('{"city":"a"}\n', "line 1: no field 'id'"),
                ('{"id":1,"citty":"a"}\n', "line 1: field \"citty\" .*did you mean 'city'"),
                ('{"id":1}\n', "line 1: no field 'city'; give it, null if", "--columns", "city"),
                ('{"id":1,"citty":"a"}\n', "line 1: no field 'city'", "--columns", "city")):
            for mode in ("update", "update-existing"):
                self.fails(1, why, *update(text, mode, *more))
                self.assertEqual(self.scan(), rows, "nothing of its batch is committed")
        self.ok(*update('{"id":1,"city":null,"n":8,"x":1}\n', "update", "--columns", "city"))
        rows[0]["city"] = None
        self.assertEqual(self.scan(), rows)
        self.fails(1, "did you mean 'city'", "load", self.db, "orders",
                   self.write("b.jsonl", '{"id":3,"n":1}\n{"id":4,"citi":"x","n":1}\n'))
        self.assertEqual(self.scan(), rows)

    def test_an_update_sets_only_the_columns_that_a_file_has(self):
        self.ok("load", self.db, "orders", self.write("t.csv", "id,city,n\n1,Oslo,5\n2,Rome,6\n"),
                "--create", "--key", "id")
        self.write("u.csv", "city,id\nLyon,2\n")
        self.write("u.tsv", "id\tn\n1\t7\n")
        pq.write_table(pa.table({"id": [1], "city": ["Bonn"]}), self.folder / "u.parquet")
        self.ok("load", self.db, "orders", "u.csv", "u.tsv", "u.parquet", "--mode", "update")
        rows = [{"id": 1, "city": "Bonn", "n": 7}, {"id": 2, "city": "Lyon", "n": 6}]
        self.assertEqual(self.scan(), rows)
        pq.write_table(pa.table({"id": [1], "citty": ["x"]}), self.folder / "bad.parquet")
        self.write("bad.csv", "id,citty\n1,x\n")
        self.write("keyless.csv", "city\nx\n")
        for name, why in (("bad.csv", "did you mean 'city'"), ("bad.parquet", "mean 'city'"),
                          ("keyless.csv", "no column id")):
            self.fails(1, why, "load", self.db, "orders", name, "--mode", "update")
        self.assertEqual(self.scan(), rows)
        self.assertIn("An update changes only what is given", self.ok("load", "--help").out)

    def test_load_with_a_producer_goes_on_where_it_was(self):
        load = ("--rows-per-commit", "3", "--producer", "orders-2026", "--mode", "insert", "--json")
        first = self.ok("load", self.db, "orders", self.write("orders.csv", self.orders(6)),
                        "--create", "--key", "id", *load).document()
        self.assertEqual((first["commits"], first["skipped"]), (2, 0))
        file = self.write("orders.csv", self.orders(10))
        again = self.ok("load", self.db, "orders", file, *load).document()
        self.assertEqual((again["rows"], again["commits"], again["skipped"]), (4, 2, 6))
        self.ok("flush", self.db)
        done = self.ok("load", self.db, "orders", file, *load).document()
        self.assertEqual((done["rows"], done["commits"], done["skipped"]), (0, 0, 10))
        self.assertEqual(len(self.scan()), 10)
        self.fails(2, "--threads 1", "load", self.db, "orders", file, "--producer", "p",
                   "--threads", "2")
        self.fails(2, "printable", "load", self.db, "orders", file, "--producer", "a b")

    def test_a_producer_counts_rows_and_not_commits(self):
        load = ("--producer", "p", "--mode", "insert", "--json", "--rows-per-commit")
        short = self.write("orders.csv", self.orders(7))
        self.ok("load", self.db, "orders", short, "--create", "--key", "id", *load, "2")
        long = self.write("orders.csv", self.orders(20))  # its fourth batch begins in the middle
        again = self.ok("load", self.db, "orders", long, *load, "3").document()
        self.assertEqual((again["rows"], again["skipped"]), (13, 7))
        self.assertEqual(len(self.scan()), 20)
        short = self.write("orders.csv", self.orders(19))
        self.fails(5, "here are only 19", "load", self.db, "orders", short, "--producer", "p")
        other = self.ok("load", self.db, "other", short, "--create", "--key", "id", *load, "3")
        self.assertEqual(other.document()["rows"], 19, "of another table it knows nothing")
        self.ok("drop", self.db, "other", "--yes")
        other = self.ok("load", self.db, "other", short, "--create", "--key", "id", *load, "3")
        self.assertEqual(other.document()["rows"], 19, "nor of one that was dropped")

    def test_a_load_says_which_rows_it_did_not_keep(self):
        file = self.write("t.csv", "id,v\n1,a\n1,b\n2,c\n1,d\n")
        done = self.ok("load", self.db, "t", file, "--create", "--key", "id", "--json").document()
        self.assertEqual((done["rows"], done["repeated"], done["passed"]), (4, 2, 0))
        again = self.ok("load", self.db, "t", file, "--mode", "insert-missing", "--json").document()
        self.assertEqual((again["rows"], again["commits"]), (4, 0), "no commit was made")
        self.assertEqual(again["repeated"] + again["passed"], 4)
        self.assertIn("4 rows into t in 0 commits, ",
                      self.ok("load", self.db, "t", file, "--mode", "insert-missing").out)

    def test_a_load_says_how_many_rows_were_passed_over(self):
        self.load_orders(3)
        file = self.write("more.csv", "id,name\n2,a\n3,b\n4,c\n4,d\n")
        load = ("load", self.db, "orders", file, "--mode")
        self.assertIn("loaded 2 of 4 rows into orders in 1 commit (last commit 2), ",
                      self.ok(*load, "update-existing").out)
        out = self.ok(*load, "insert-missing").out
        self.assertIn("loaded 1 of 4 rows into orders in 1 commit (last commit 3), ", out)
        self.assertIn("read 4, kept 1, passed over 2 whose key was there already (--mode insert-mi",
                      out)
        out = self.ok(*load, "insert-missing").out
        self.assertIn("loaded 0 of 4 rows into orders in 0 commits, ", out)
        done = self.ok(*load, "update", "--json").document()
        self.assertEqual((done["rows"], done["kept"], done["passed"]), (4, 3, 0))

    def test_flush_moves_rows_into_parquet(self):
        self.load_orders(10)
        before = self.ok("stats", self.db, "--json").document()
        flushed = self.ok("flush", self.db, "--json").document()
        after = self.ok("stats", self.db, "--json").document()
        self.assertEqual(flushed["manifest"], after["manifest"]["number"])
        self.assertGreater(after["manifest"]["number"], before["manifest"]["number"])
        self.assertEqual(sum(level["rows"] for level in after["tables"][0]["levels"]), 10)
        files = list(self.db.rglob("*.parquet"))
        self.assertEqual(sum(pq.read_metadata(f).num_rows for f in files), 10)
        self.assertEqual(len(self.scan()), 10)

    def test_stats_have_the_promised_fields(self):
        self.load_orders(10)
        self.ok("flush", self.db)
        stats = self.ok("stats", self.db, "--json").document()
        for name in ("commit", "visible", "durable"):
            self.assertIsInstance(stats[name], int)
        self.assertLessEqual({"segments", "bytes", "first_lsn", "durable_lsn"}, set(stats["log"]))
        self.assertIsInstance(stats["manifest"]["number"], int)
        table = stats["tables"][0]
        self.assertEqual(table["rows_estimate"], 10)
        self.assertLessEqual({"runs", "bytes", "rows"}, set(table["levels"][0]))
        self.assertIn("commit", self.ok("stats", self.db).out)

    def test_compact_leaves_each_row_once_and_older_commits_readable(self):
        for _ in range(3):
            self.load_orders(10)
            self.ok("flush", self.db)
        commits = [v["commit"] for v in
                   self.ok("versions", self.db, "--json").document()["versions"]]
        done = self.ok("compact", self.db, "orders", "--json").document()
        self.assertEqual((done["runs_before"], done["runs_after"]), (3, 1))
        self.assertLess(done["bytes_after"], done["bytes_before"])
        table = self.ok("stats", self.db, "--json").document()["tables"][0]
        self.assertEqual([level["rows"] for level in table["levels"]], [0, 10])
        self.assertEqual(table["history"]["runs"], 3)
        self.assertIn("history", self.ok("stats", self.db).out)
        for commit in commits:
            count = self.ok("scan", self.db, "orders", "--at", str(commit), "--count").out
            self.assertEqual(count.strip(), "10")
        self.assertIn("compacted 1 run", self.ok("compact", self.db).out)
        self.assertTrue(self.ok("verify", self.db, "--deep", "--json").document()["sound"])
        self.fails(3, "no table wings; the database has orders", "compact", self.db, "wings")

    def test_retire_lets_go_of_what_no_window_and_no_tag_keeps(self):
        for _ in range(3):
            self.load_orders(10)
            self.ok("flush", self.db)
        commits = [v["commit"] for v in
                   self.ok("versions", self.db, "--json").document()["versions"]]
        self.ok("tag", self.db, "first", "--at", str(commits[-1]))
        self.ok("compact", self.db)
        files = len(list(self.db.rglob("*.parquet")))
        self.assertEqual(self.ok("retire", self.db, "--json").document()["runs"], 0)
        would = self.ok("retire", self.db, "--keep", "0s", "--dry-run", "--json").document()
        self.assertEqual((would["dry_run"], would["runs"], would["oldest"]), (True, 2, commits[0]))
        self.assertEqual(len(list(self.db.rglob("*.parquet"))), files)
        done = self.ok("retire", self.db, "--keep", "0s", "--json").document()
        self.assertEqual({**done, "dry_run": True}, would)
        self.assertEqual(len(list(self.db.rglob("*.parquet"))), files - 2)
        self.ok("scan", self.db, "orders", "--at", "first")
        self.fails(3, f"the oldest that is left is commit {commits[0]}",
                   "scan", self.db, "orders", "--at", str(commits[1]))
        self.assertTrue(self.ok("verify", self.db, "--deep", "--json").document()["sound"])
        for keep in ("7", "week", "-1d", "1y", ""):
            self.fails(2, "--keep", "retire", self.db, "--keep", keep)

    def test_versions_are_newest_first_and_limited(self):
        self.load_orders(10, "--rows-per-commit", "2")
        versions = self.ok("versions", self.db, "--limit", "3", "--json").document()["versions"]
        numbers = [v["commit"] for v in versions]
        self.assertEqual(len(numbers), 3)
        self.assertEqual(numbers, sorted(numbers, reverse=True))
        self.assertRegex(versions[0]["time"], r"^\d{4}-\d\d-\d\dT.*Z$")

    def test_verify_finds_a_sound_database_sound(self):
        self.load_orders(10)
        self.ok("flush", self.db)
        found = self.ok("verify", self.db, "--deep", "--json").document()
        self.assertTrue(found["sound"])
        self.assertEqual((found["rows"], found["damages"]), (10, []))
        self.assertRegex(self.ok("verify", self.db).out, r"\Asound: ")

    def test_verify_names_damage(self):
        self.load_orders(1000)
        self.ok("flush", self.db)
        run = next(self.db.rglob("*.parquet"))
        content = bytearray(run.read_bytes())
        content[len(content) // 2] ^= 0x40
        run.write_bytes(content)
        done = self.run_varve("verify", self.db, "--deep", exit_code=6)
        self.assertRegex(done.out, rf"{re.escape(run.name)}: offset \d+: ")
        self.assertEqual(done.out.splitlines()[0].count(run.name), 1)
        found = self.run_varve("verify", self.db, "--deep", "--json", exit_code=6).document()
        self.assertFalse(found["sound"])
        self.assertIn(run.name, found["damages"][0]["file"])
        self.assertNotIn("run verify", done.out + json.dumps(found))
        run.unlink()
        self.assertNotIn("verify", self.run_varve("verify", self.db, exit_code=6).out)

    def test_verify_of_a_damaged_log_or_manifest_does_not_name_the_newest_commit(self):
        self.load_orders(1000)
        for folder in ("log", "manifest"):
            file = max(p for p in (self.db / folder).iterdir() if p.stat().st_size > 4096 or
                       folder == "manifest")
            whole = file.read_bytes()
            content = bytearray(whole)
            middle = 4200 if folder == "log" else len(content) // 2
            content[middle] ^= 0x40
            file.write_bytes(content)
            for path in (self.db, f"{self.db}/", os.path.relpath(self.db, self.folder)):
                done = self.run_varve("verify", path, exit_code=6)
                self.assertIn("newest commit unknown", done.out)
            found = self.run_varve("verify", self.db, "--json", exit_code=6).document()
            self.assertIsNone(found["commit"])
            file.write_bytes(whole)
        self.assertEqual(self.ok("verify", self.db, "--json").document()["commit"], 1)

    def test_inspect_knows_each_kind_of_file(self):
        self.load_orders(10)
        kinds = set()
        self.ok("flush", self.db)
        for path in sorted(p for p in self.db.rglob("*") if p.is_file() and p.stat().st_size > 0):
            done = self.run_varve("inspect", path, "--json")
            if done.exit == 0:
                found = done.document()
                kinds.add(found["kind"])
                self.assertTrue(found["lines"], path)
        self.assertEqual(len(kinds), 4, kinds)
        self.fails(9, "no log segment", "inspect", self.write("note.txt", "hello\n"))
        self.fails(6, "damaged", "inspect", self.write("cut.parquet", b"PAR1 and no more"))
        manifest = max(self.db.glob("manifest/*"))
        damaged = self.write(manifest.name, manifest.read_bytes()[:-20] + b"x")
        self.fails(6, manifest.name, "inspect", damaged)
        found = self.run_varve("inspect", damaged, "--json", exit_code=6).document()
        self.assertTrue(found["lines"])
        self.assertTrue(found["damage"])
        self.fails(3, "nowhere", "inspect", self.folder / "nowhere")


class UsageTest(CliTest):
    def test_help_and_version(self):
        self.assertRegex(self.ok("--version").out, r"^varve \d+\.\d+\.\d+\n$")
        for name in ("VARVE_COLOR", "VARVE_MEMTABLE_BYTES", "VARVE_METRICS_MS", "VARVE_ACK",
                     "VARVE_COMPACTION_THREADS", "VARVE_BACKGROUND_BYTES_PER_SECOND",
                     "create", "inspect"):
            self.assertIn(name, self.ok("--help").out)
        self.assertEqual(self.ok("help", "scan").out, self.ok("scan", "--help").out)
        for verb in ("create", "load", "scan", "changes", "get", "delete", "drop", "rename",
                     "alter", "tables", "versions", "tag", "untag", "restore", "flush", "compact",
                     "retire", "stats", "top", "report",
                     "verify", "inspect"):
            text = self.ok(verb, "--help").out
            self.assertIn("Example:\n  varve " + verb, text)
            self.assertIn("--json", text)

    def test_wrong_usage_is_exit_2(self):
        self.load_orders()
        for arguments in ((), ("fly",), ("scan",), ("scan", self.db, "orders", "--wings"),
                          ("scan", self.db, "orders", "--limit", "many"),
                          ("scan", self.db, "orders", "--columns", "wings"),
                          ("scan", self.db, "orders", "--where", "id >"),
                          ("scan", self.db, "orders", "--where", ""),
                          ("scan", self.db, "orders", "--columns", ""),
                          ("scan", self.db, "orders", "-o", ""),
                          ("scan", self.db, "orders", "--where", "wings > 1"),
                          ("scan", self.db, "orders", "--format", "xml"),
                          ("scan", self.db, "orders", "-o", "rows.xls"),
                          ("scan", self.db, "orders", "--color", "red"),
                          ("create", self.db, "t", "--key", "id"),
                          ("create", self.db, "t", "--key", "id", "--schema", "id int65"),
                          ("create", self.db, "t", "--key", "no", "--schema", "id int64"),
                          ("create", self.db, "t", "--key", "id",
                           "--schema", "id int64, id int64"),
                          ("load", self.db, "orders", "orders.csv", "--rows-per-commit", "0"),
                          ("load", self.db, "orders", "orders.csv", "--ack", "maybe"),
                          ("load", self.db, "new", "orders.csv", "--create"),
                          ("delete", self.db, "orders"),
                          ("top", self.db, "--interval", "0"), ("top", self.db, "--count", "0"),
                          ("top", self.db, "--once", "--count", "2"),
                          ("report", self.db), ("report", self.db, "-o", "")):
            with self.subTest(arguments):
                self.fails(2, ".", *arguments)

    def test_filters_show_the_place(self):
        self.load_orders()
        done = self.fails(2, ".", "scan", self.db, "orders", "--where", "id > 3 and wings = 1")
        self.assertIn("^", done.err)

    def test_errors_are_json_when_asked(self):
        for arguments, code, kind in ((("scan", self.folder / "no.varve", "t", "--json"), 3,
                                       "NotFound"), (("scan", "--json", "--wings"), 2, "Invalid")):
            done = self.run_varve(*arguments, exit_code=code)
            error = json.loads(done.err)["error"]
            self.assertEqual((error["kind"], error["exit"]), (kind, code))
            self.assertLessEqual({"reason", "message"}, set(error))
            self.assertEqual(done.out, "")

    def test_environment(self):
        self.load_orders()
        for name, value in (("VARVE_COLOUR", "auto"), ("VARVE_COLOR", "red"),
                            ("VARVE_ACK", "later"), ("VARVE_MEMTABLE_BYTES", "lots"),
                            ("VARVE_METRICS_MS", "often")):
            self.fails(2, name, "tables", self.db, env=clean_environment(**{name: value}))
        self.ok("tables", self.db, env=clean_environment(VARVE_TEST_SEED="1", VARVE_ACK="written"))
        table = ("scan", self.db, "orders", "--format", "table")
        always = clean_environment(VARVE_COLOR="always")
        self.assertIn("\x1b[", self.ok(*table, env=always).out)
        self.assertNotIn("\x1b[", self.ok(*table, "--color", "never", env=always).out)
        self.assertNotIn("\x1b[", self.ok(*table, env=clean_environment(NO_COLOR="1")).out)

    def test_buckets_are_not_supported_yet(self):
        for verb in (("tables", "s3://b/p"), ("scan", "s3://b/p", "t"), ("verify", "s3://b/p")):
            self.fails(9, "not supported in this version", *verb)


class BadInputTest(CliTest):
    def test_a_bad_line_keeps_earlier_commits_and_nothing_of_its_own(self):
        lines = self.orders(30).splitlines()
        lines[25] = "25,order 25,extra"
        file = self.write("bad.csv", "\n".join(lines) + "\n")
        done = self.run_varve("load", self.db, "orders", file, "--create", "--key", "id",
                              "--rows-per-commit", "10", "--commits", exit_code=1)
        last = done.lines()[-1]["commit"]
        self.assertEqual(done.err, f"varve: {file}: line 26: expected 2 fields, as the header has, "
                                   "found 3\n20 rows of this load are kept, in 2 commits; "
                                   f"the last is commit {last}\n")
        self.assertEqual(len(self.scan()), 20)

    def test_a_bad_value_names_line_column_value_and_type(self):
        self.load_orders(1)
        file = self.write("bad.csv", 'id,name\n2,"two\nlines"\nthree,x\n')
        done = self.run_varve("load", self.db, "orders", file, exit_code=1)
        self.assertEqual(done.err, f'varve: {file}: line 4, column id: expected int64, found '
                                   '"three"\nno rows of this load are kept\n')
        self.assertEqual(len(self.scan()), 1)

    def test_a_null_key_names_row_and_column(self):
        self.load_orders(1)
        file = self.write("bad.csv", "id,name\n2,x\nNA,y\n")
        done = self.fails(1, "id", "load", self.db, "orders", file)
        self.assertIn("null", done.err)
        self.assertEqual(len(self.scan()), 1)

    def test_a_null_where_none_may_be_names_file_and_line(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema", "id int64, n int8 not null")
        self.write("k.csv", "id,n\n1,1\n\nNA,2\n")
        self.write("n.csv", "n,id\n1,1\nNA,2\n")
        self.write("k.jsonl", '\n{"id":1,"n":1}\n{"n":2}\n')
        self.write("n.jsonl", '{"id":1,"n":null}\n')
        pq.write_table(pa.table({"id": [1, None], "n": [1, 2]}), self.folder / "k.parquet")
        for name, where in (("k.csv", "line 4, column id"), ("n.csv", "line 3, column n"),
                            ("k.jsonl", "line 3, column id"), ("n.jsonl", "line 1, column n"),
                            ("k.parquet", "row 2, column id")):
            why = f"{name}: {where}: null, and every row needs a value there"
            self.fails(1, why, "load", self.db, "orders", name)
            if where.endswith("id"):
                self.fails(1, why, "load", self.db, "new", name, "--create", "--key", "id")
        self.assertEqual(len(self.ok("tables", self.db, "--json").document()["tables"]), 1)
        self.fails(1, "k.csv: line 4, column id: null", "delete", self.db, "orders", "--keys",
                   "k.csv", "--yes")
        self.fails(1, "line 1: no field 'id'", "delete", self.db, "orders", "--keys",
                   self.write("d.jsonl", '{"idd":1}\n'), "--yes")
        self.assertEqual(self.scan(), [])

    def test_a_null_count_that_is_a_lie_is_found_out(self):
        full = pa.py_buffer(b"\xff" * 8)
        lie = pa.Array.from_buffers(pa.int64(), 64, [full, pa.py_buffer(bytes(8 * 64))], 1)
        fields = pa.schema([("id", "int64"), ("n", "int64")])
        self.ok("create", self.db, "orders", "--key", "id", "--schema",
                "id int64, n int64 not null")
        for name, columns in (("id", [lie, pa.array(range(64))]),
                              ("n", [pa.array(range(64)), lie])):
            with pa.ipc.new_file(self.folder / "lie.arrow", fields) as out:
                out.write_batch(pa.record_batch(columns, schema=fields))
            self.fails(1, f"lie.arrow: rows 1 to 64, column {name}: the file counts 1 null and has "
                       "none\n", "load", self.db, "orders", "lie.arrow")
        sound = pa.record_batch([pa.array(range(61)), pa.array([*range(60), None])], schema=fields)
        with pa.ipc.new_file(self.folder / "short.arrow", fields) as out:
            out.write_batch(sound)
        bytes_of = (self.folder / "short.arrow").read_bytes()
        self.write("short.arrow", bytes_of.replace(struct.pack("<q", 61), struct.pack("<q", 6100)))
        self.fails(1, "short.arrow: .*too small", "load", self.db, "orders", "short.arrow")
        self.assertEqual(self.scan(), [])

    def test_headers_and_schemas_that_differ_say_how(self):
        self.load_orders(1)
        self.fails(1, "line 1: the header has no column name", "load", self.db, "orders",
                   self.write("few.csv", "id\n1\n"))
        self.fails(1, "line 1: the header has column wings", "load", self.db, "orders",
                   self.write("many.csv", "id,name,wings\n1,a,2\n"))
        self.fails(1, "names column id twice", "load", self.db, "orders",
                   self.write("twice.csv", "id,name,id\n1,a,2\n"))
        pq.write_table(pa.table({"id": ["a"], "name": ["b"]}), self.folder / "t.parquet")
        self.fails(1, "column id: expected int64, found string", "load", self.db, "orders",
                   "t.parquet")

    def test_files_that_are_no_good(self):
        self.load_orders(1)
        load = ("load", self.db, "orders")
        self.fails(3, "nothing.csv", *load, "nothing.csv")
        self.fails(2, "is a folder", *load, self.folder)
        self.fails(2, "extension", *load, self.write("orders.xls", "x"))
        self.fails(1, "is empty", *load, self.write("empty.csv", ""))
        self.fails(1, "is empty", "load", self.db, "new", self.write("empty.jsonl", ""),
                   "--create", "--key", "id")
        whole = gzip.compress(self.orders(50000).encode())
        cut = self.write("cut.csv.gz", whole[:-2000])
        self.fails(1, "not a whole gzip file", *load, cut)
        done = self.fails(1, "not a whole gzip file", "load", self.db, "cut", cut, "--create",
                          "--key", "id", "--rows-per-commit", "1000")
        self.assertRegex(done.err, r"\d,000 rows of this load are kept")
        self.fails(1, "Parquet", *load, self.write("cut.parquet", b"PAR1 and no more"))
        self.fails(1, "Arrow", *load, self.write("cut.arrow", b"ARROW1 and no more"))
        self.fails(1, "line 1: not JSON", *load, self.write("bad.jsonl", "{"))

    def test_a_missing_file_leaves_no_database(self):
        there = str(self.write("there.csv", "a\n1\n"))
        for files in (["nothing.csv"], [there, "nothing.csv"]):
            with self.subTest(files):
                self.fails(3, "nothing.csv", "load", self.db, "t", *files, "--create", "--key", "a")
                self.assertFalse(self.db.exists())

    def test_tables_that_are_not_there_or_there_already(self):
        self.load_orders(1)
        self.fails(3, "the database has orders", "scan", self.db, "wings")
        self.fails(3, "--create", "load", self.db, "wings", "orders.csv")
        self.fails(5, "orders", "create", self.db, "orders", "--key", "id", "--schema", "id int64")
        self.fails(5, "with key id, not name", "load", self.db, "orders", "orders.csv", "--create",
                   "--key", "name")
        self.ok("load", self.db, "orders", "orders.csv", "--create", "--key", "id")

    def test_types_that_parquet_cannot_hold_are_refused(self):
        gap = pa.array([(1, 2, 3)], pa.month_day_nano_interval())
        with pa.ipc.new_file(self.folder / "t.arrow", pa.schema([("id", "int64"),
                                                                 ("gap", gap.type)])) as out:
            out.write(pa.record_batch([pa.array([1]), gap], names=["id", "gap"]))
        self.fails(9, "gap", "create", self.db, "t", "--key", "id", "--like", "t.arrow")

    def test_what_is_refused_is_named_and_leaves_everything_as_it_was(self):
        self.load_orders(3)
        orders = (self.db, "orders")
        null = self.write("null.csv", "id,name\n7,x\nNA,y\n")
        self.write("wide.csv", "id,name,wings\n7,x,2\n")
        self.write("typed.jsonl", '{"id": "seven", "name": "x"}\n')
        self.write("keys.csv", "name\nx\n")
        refused = (
            (3, "no table oders; the database has orders", "scan", self.db, "oders"),
            (3, "oders.*orders", "get", self.db, "oders", "1"),
            (3, "oders.*orders", "delete", self.db, "oders", "--keys", null, "--yes"),
            (3, "oders.*orders", "changes", self.db, "oders", "--from", 0),
            (3, "oders.*orders", "drop", self.db, "oders", "--yes"),
            (3, "oders.*orders", "rename", self.db, "oders", "other"),
            (3, "oders.*orders", "restore", self.db, "oders", "--at", 1, "--yes"),
            (2, "orders has no column wings; it has id", "scan", *orders, "--columns", "wings"),
            (2, "unknown column 'wings'", "scan", *orders, "--where", "wings = 1"),
            (2, "unknown column 'wings'", "delete", *orders, "--where", "wings = 1", "--yes"),
            (2, r"\^", "scan", *orders, "--where", "id > 'many'"),
            (2, r"\^", "delete", *orders, "--where", "id > 'many'", "--yes"),
            (2, "int64; expected a condition", "scan", *orders, "--where", "id + 1"),
            (1, "column wings", "load", *orders, "wide.csv"),
            (1, 'line 1.*id.*"seven"', "load", *orders, "typed.jsonl"),
            (1, "id", "delete", *orders, "--keys", "keys.csv", "--yes"),
            (1, "null", "load", *orders, null),
            (2, "id.*int64.*'x'|'x'|\"x\"", "get", *orders, "x"),
            (3, "commit 99 lies in the future.*is 1", "scan", *orders, "--at", 99),
            (3, "commit 99 lies in the future.*is 1", "get", *orders, "1", "--at", 99),
            (3, "commit 99 lies in the future.*is 1", "changes", *orders, "--from", 99),
            (3, "commit 99 lies in the future.*is 1", "restore", *orders, "--at", 99, "--yes"),
            (3, "commit 99 lies in the future.*is 1", "tag", self.db, "x", "--at", 99),
            (3, "no version as old.*the oldest is commit 1", "scan", *orders, "--at", "2001-01-01"),
            (3, "no version as old", "restore", *orders, "--at", "2001-01-01", "--yes"),
            (3, "no tag 'release'", "scan", *orders, "--at", "release"),
            (2, "end before they begin", "changes", *orders, "--from", 1, "--to", 0))
        for exit_code, message, *arguments in refused:
            with self.subTest(arguments):
                self.fails(exit_code, message, *arguments)
                self.assertEqual(len(self.scan()), 3)
                self.assertEqual(self.ok("stats", self.db, "--json").document()["visible"], 1)
        self.ok("load", *orders, self.write("good.csv", "id,name\n9,good\n"))
        self.assertEqual(self.scan()[-1], {"id": 9, "name": "good"})
        self.assertEqual(self.ok("stats", self.db, "--json").document()["visible"], 2)

    def test_a_key_that_is_too_long_names_row_and_sizes(self):
        self.ok("load", self.db, "names", self.write("names.csv", "k,n\na,1\n"), "--create",
                "--key", "k")
        long = self.write("long.csv", f"k,n\nb,2\n{'x' * 65535},3\n")
        self.fails(1, "row 1: its key has 65537 bytes; a key may have 65536", "load", self.db,
                   "names", long)
        self.assertEqual(self.ok("scan", self.db, "names", "--count").out, "1\n")

    def test_what_is_missing_says_what_to_do(self):
        file = self.write("t.csv", "id\n1\n")
        self.fails(3, "no.varve.* add --create --key", "load", "no.varve", "t", file)
        for verb in (("scan", "t"), ("tables",), ("flush",), ("verify",), ("get", "t", "1"),
                     ("stats",), ("drop", "t")):
            done = self.fails(3, "no.varve.*check the path", verb[0], "no.varve", *verb[1:])
            self.assertNotIn("create", done.err)
        self.load_orders(1)
        self.fails(5, "exists already.*--if-not-exists .*load", "create", self.db, "orders",
                   "--key", "id", "--schema", "id int64")
        forms = "a commit number, a tag, a time such as .*back from now such as -5m"
        for word in ("now", "latest", "yesterday", "-1w"):
            for verb in (("scan", "orders", "--at"), ("get", "orders", "1", "--at"),
                         ("restore", "orders", "--at"), ("changes", "orders", "--from"),
                         ("changes", "orders", "--from", "0", "--to"), ("tag", "x", "--at")):
                with self.subTest((verb, word)):
                    self.fails(2 if word == "-1w" else 3, forms, verb[0], self.db, *verb[1:], word)

    def test_a_table_that_is_gone_says_where_it_still_is(self):
        self.load_orders(4, "--rows-per-commit", "2")
        self.ok("rename", self.db, "orders", "sales")  # commit 3
        self.fails(3, "no table orders.*has sales; orders was renamed to sales in commit 3, and "
                      "scan --at 2 still shows it", "scan", self.db, "orders")
        self.ok("load", self.db, "other", "orders.csv", "--create", "--key", "id")  # commit 4
        self.ok("drop", self.db, "sales", "--yes")  # commit 5
        self.ok("load", self.db, "other", "orders.csv", "--rows-per-commit", "1")
        for _ in range(2):
            self.fails(3, "orders was renamed to sales in commit 3, and scan --at 2 still shows it",
                       "scan", self.db, "orders")
            gone = "sales was dropped in commit 5, and scan --at 4 still shows it"
            for verb in (("scan",), ("get", "1"), ("load", "orders.csv"), ("scan", "--at", "7")):
                self.fails(3, gone, verb[0], self.db, "sales", *verb[1:])
            self.fails(3, gone + ".*varve scan .* sales --at 4 -o sales.parquet, and varve load .* "
                       "sales sales.parquet --create --key id", "restore", self.db, "sales",
                       "--at", 4)
            self.assertNotIn(" was ", self.fails(3, "no", "scan", self.db, "wings").err)
            self.ok("flush", self.db)
        self.ok("scan", self.db, "sales", "--at", 4, "-o", "sales.parquet")
        self.ok("load", self.db, "sales", "sales.parquet", "--create", "--key", "id")
        self.assertEqual(self.ok("scan", self.db, "sales", "--count").out, "4\n")

    def test_what_a_dropped_table_is_brought_back_with_can_be_typed(self):
        keys = ["a,b", " it's ", 'say "hi"', "$HOME", "k"]
        flag = ",".join('"' + key.replace('"', '""') + '"' for key in keys)
        for n in range(3):
            pq.write_table(pa.table({key: [n] for key in keys}), self.folder / "k.parquet")
            self.ok("load", self.db, "sales", "k.parquet", "--create", "--key", flag)
        self.ok("tag", self.db, "two", "--at", 2)
        self.ok("drop", self.db, "sales", "--yes")
        folder = self.folder / "it's mine"
        folder.mkdir()
        shutil.move(self.db, folder / "db")
        for asked, shown, rows in (("1", 1, 1), ("two", 2, 2), ("4", 3, 3), ("99", 3, 3)):
            with self.subTest(asked):
                db = folder / f"db {asked}"
                shutil.copytree(folder / "db", db)
                done = self.fails(3, f"--at {shown} -o", "restore", db, "sales", "--at", asked)
                scan, load = re.search("with: (.*), and (varve load .*)\n", done.err).groups()
                self.assertTrue(load.endswith(",k'"), "what needs no quotes has none")
                (self.folder / "sales.parquet").unlink(missing_ok=True)
                for line in (scan, load):
                    subprocess.run(["sh", "-c", line], cwd=self.folder, check=True, timeout=300,
                                   capture_output=True,
                                   env=clean_environment(PATH=f"{BUILD}:{os.environ['PATH']}"))
                self.assertEqual(self.ok("scan", db, "sales", "--count").out, f"{rows}\n")
                table = self.ok("tables", db, "--json").document()["tables"][0]
                self.assertEqual(table["key"], keys)

    def test_a_table_that_never_had_a_row_and_was_dropped(self):
        self.ok("create", self.db, "orders", "--key", "id", "--schema", "id int64")
        self.ok("drop", self.db, "orders", "--yes")
        self.fails(3, "dropped in commit 1, and scan --at 0 ", "scan", self.db, "orders")
        self.assertEqual(self.scan("--at", "0"), [])

    def test_folders_that_hold_no_database(self):
        self.fails(3, "no.varve", "scan", self.folder / "no.varve", "t")
        note = self.write("note.csv", "a\n1\n")
        for verb in ("tables", "verify", "stats"):
            self.fails(3, "note.csv", verb, note)
        other = self.folder / "other"
        other.mkdir()
        self.fails(3, "other", "scan", other, "t")
        (other / "photo.jpg").write_text("x")
        self.fails(3, "other", "scan", other, "t")
        self.run_varve("load", other, "t", self.write("a.csv", "a\n1\n"), "--create", "--key", "a",
                       exit_code=2)
        self.assertEqual([p.name for p in other.iterdir()], ["photo.jpg"])


class ExactValuesTest(CliTest):
    """What is loaded is what was written, or an error names it."""

    def load(self, name, content, schema, exit_code, message="."):
        self.run_varve("create", self.db, "t", "--key", "id", "--schema", schema)
        arguments = ("load", self.db, "t", self.write(name, content))
        if exit_code == 0:
            self.ok(*arguments)
            return self.ok("scan", self.db, "t", "--json").lines()
        return self.fails(exit_code, message, *arguments)

    def test_json_decimals_keep_every_digit(self):
        digits = "0.1234567890123456789012345678901"
        rows = self.load("t.jsonl", '{"id":1,"d":%s}\n{"id":2,"d":12345678901234567890123}\n' %
                         digits, "id int64, d decimal(38, 31)", 1, "line 2, column d: .*67890123")
        rows = self.load("t.jsonl", '{"id":1,"d":%s}\n' % digits, "", 0)
        self.assertEqual(rows, [{"id": 1, "d": digits}])

    def test_decimals_that_do_not_fit_are_refused(self):
        schema = "id int64, d decimal(38, 2)"
        for text in ("1" + "0" * 60, "1e-99", "0.001", "1" * 37):
            with self.subTest(text):
                self.load("t.jsonl", '{"id":1,"d":%s}\n' % text, schema, 1, "line 1, column d")
                self.load("t.csv", f"id,d\n1,{text}\n", schema, 1, "line 2, column d")

    def test_integers_that_no_double_holds_are_refused(self):
        schema = "id int64, d double"
        for text in ("9007199254740993", "18446744073709551617", "1e999", "-1e999"):
            with self.subTest(text):
                self.load("t.jsonl", '{"id":1,"d":%s}\n' % text, schema, 1, "line 1")
                self.load("t.csv", f"id,d\n1,{text}\n", schema, 1, "line 2, column d")
        rows = self.load("t.csv", "id,d\n1,9007199254740994\n2,-Infinity\n3,0.1\n", schema, 0)
        self.assertEqual([r["d"] for r in rows], [9007199254740994, "-Infinity", 0.1])

    def test_numbers_too_large_for_a_narrow_float_are_refused(self):
        schema = "id int64, f float32"
        self.load("t.csv", "id,f\n1,1e39\n", schema, 1, "line 2, column f")
        self.load("t.jsonl", '{"id":1,"f":1e39}\n', schema, 1, "line 1, column f")
        for large, code in ((1e39, 1), (float("-inf"), 0)):
            pq.write_table(pa.table({"id": [1], "f": [large]}), self.folder / "t.parquet")
            self.run_varve("load", self.db, "t", "t.parquet", exit_code=code)
        rows = self.load("t.csv", "id,f\n1,0.1\n2,inf\n", schema, 0)
        self.assertEqual([r["f"] for r in rows], [0.1, "Infinity"])

    def test_integers_over_64_bits_are_refused(self):
        self.load("t.jsonl", '{"id":18446744073709551617}\n', "id uint64", 1,
                  'line 1, column id: expected uint64, found "18446744073709551617"')

    def test_two_members_of_one_name_are_refused(self):
        self.load("t.jsonl", '{"id":1}\n{"id":2,"id":3}\n', "id int64", 1,
                  r'line 2: member \\?"id\\?" occurs twice')

    def test_deep_values_are_refused(self):
        deep = "[" * 100_000
        self.load("t.jsonl", '{"id":1,"l":%s}\n' % deep, "id int64, l list<int64>", 1,
                  "line 1: nested more than 200 deep")
        self.load("t.csv", f"id,l\n1,{deep}\n", "", 1, "line 2, column l: .* 200 deep")
        closed = "[" * 150 + "]" * 150
        self.load("t.jsonl", '{"id":%s}\n' % closed, "", 1, "line 1, column id: expected int64")

    def test_lines_may_end_with_carriage_returns_alone(self):
        rows = self.load("t.csv", 'id,s\r1,a\r2,"b"\r', "id int64, s utf8", 0)
        self.assertEqual(rows, [{"id": 1, "s": "a"}, {"id": 2, "s": "b"}])
        self.load("bad.csv", "id,s\r\r1,a\rx,b\r", "", 1, "line 4, column id")

    def test_large_integers_among_doubles_become_text(self):
        self.write("t.csv", "id,d\n1,0.5\n2,9007199254740993\n")
        self.ok("load", self.db, "new", "t.csv", "--create", "--key", "d")
        rows = self.ok("scan", self.db, "new", "--json").lines()
        self.assertEqual([r["d"] for r in rows], ["0.5", "9007199254740993"])

    def test_columns_without_values_are_text(self):
        self.write("t.jsonl", '{"id":1,"l":[],"n":null,"m":[null]}\n')
        pq.write_table(pa.table({"id": [1], "l": pa.array([[None]], pa.list_(pa.null())),
                                 "n": pa.array([None], pa.null())}), self.folder / "t.parquet")
        for name in ("t.jsonl", "t.parquet"):
            self.ok("load", self.db, name.replace(".", "_"), name, "--create", "--key", "id")
        for table in self.ok("tables", self.db, "--json").document()["tables"]:
            types = {c["name"]: c["type"] for c in table["columns"]}
            self.assertEqual(types["n"], "string")
            self.assertRegex(types["l"], r"list<\w+: string>")

    def test_a_table_that_cannot_be_made_leaves_no_database(self):
        file = self.write("t.jsonl", '{"id":1,"l":[1]}\n')
        for table, key, what in (("t", "nothing", "nothing"), ("t", "l", "list"),
                                 ("a/b", "id", "a/b")):
            self.fails(2, what, "load", self.db, table, file, "--create", "--key", key)
            self.fails(2, what, "create", self.db, table, "--key", key, "--schema",
                       "id int64, l list<int64>")
            self.assertFalse(self.db.exists())

    def test_rows_that_cannot_be_read_leave_no_table(self):
        file = self.write("t.jsonl", '{"id":1}\n{"id":\n')
        self.fails(1, "line 2", "load", self.db, "t", file, "--create", "--key", "id")
        self.fails(2, "--key", "load", self.db, "t", file, "--create")
        self.assertFalse(self.db.exists(), "nor a database")
        self.load_orders(1)
        self.fails(1, "line 2", "load", self.db, "t", file, "--create", "--key", "id")
        self.assertEqual([t["name"] for t in self.ok("tables", self.db, "--json").document()
                          ["tables"]], ["orders"])
        mixed = self.write("mixed.jsonl", '{"id":1,"l":[1,"a"]}\n')
        self.fails(1, "field l", "load", self.db, "t", mixed, "--create", "--key", "id")


class OutputFileTest(CliTest):
    def test_an_existing_file_is_overwritten_only_with_yes(self):
        self.load_orders(3)
        file = self.write("o.csv", "mine")
        scan = ("scan", self.db, "orders", "-o", file)
        self.fails(5, "--yes", *scan)
        self.assertEqual(file.read_text(), "mine")
        self.ok(*scan, "--yes")
        self.assertEqual(file.read_text(), self.orders(3))

    def test_no_place_inside_a_database_is_written(self):
        self.load_orders(3)
        self.ok("flush", self.db)
        run = next(self.db.rglob("*.parquet"))
        (self.folder / "link").symlink_to(run.parent)
        for place in (run, self.db / "new.csv", self.db / "data" / "new.csv",
                      self.folder / "link" / "new.csv"):
            self.fails(2, "inside a database", "scan", self.db, "orders", "-o", place, "--yes",
                       "--format", "csv")
        self.assertTrue(self.ok("verify", self.db, "--deep", "--json").document()["sound"])

    def test_pipes_and_devices_are_not_replaced(self):
        self.load_orders(3)
        pipe = self.folder / "pipe.csv"
        os.mkfifo(pipe)
        self.fails(2, "pipe.csv: is no regular file", "scan", self.db, "orders", "-o", pipe,
                   "--yes")
        self.assertTrue(pipe.is_fifo())


class ProcessCase(CliTest):
    def start_slow_load(self, env=None):
        """A load that waits for more input after its first commit."""
        process = self.start("load", self.db, "orders", "-", "--input-format", "jsonl", "--create",
                             "--key", "id", "--schema", "id int64", "--rows-per-commit", "1",
                             "--commits", stdin=subprocess.PIPE, bufsize=0, env=env)
        self.addCleanup(process.stdin.close)
        # Reads ahead by a megabyte: blank lines are no rows.
        process.stdin.write(b'{"id":1}\n' + b"\n" * (3 << 20))
        self.assertIn(b'"rows":1', process.stdout.readline())
        return process


class ProcessTest(ProcessCase):
    def test_pipes_are_opened_once(self):
        text = self.orders(20_000).encode()
        lines = b"".join(b'{"id":%d}\n' % i for i in range(20_000))
        for name, content in (("a.csv", text), ("a.csv.gz", gzip.compress(text)),
                              ("a.jsonl", lines)):
            with self.subTest(name):
                os.mkfifo(self.folder / name)
                writer = subprocess.Popen(["bash", "-c", f"cat > {name}"], cwd=self.folder,
                                          stdin=subprocess.PIPE)
                process = self.start("load", self.folder / (name + ".varve"), "t", name,
                                     "--create", "--key", "id", "--json")
                writer.communicate(content)
                out, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 0, err)
                self.assertEqual(json.loads(out)["rows"], 20_000)
        done = subprocess.run(["bash", "-c", f"{VARVE} load {self.db} t <(printf 'id\\n1\\n') "
                               "--input-format csv --create --key id"], capture_output=True,
                              check=False, env=clean_environment())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_interrupt_ends_the_wait_for_a_pipe(self):
        os.mkfifo(self.folder / "a.csv")
        process = self.start("load", self.db, "t", "a.csv", "--create", "--key", "id")
        status = pathlib.Path(f"/proc/{process.pid}/status")
        caught = 0
        while not caught & 1 << (signal.SIGINT - 1):
            caught = int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130)
        self.assertEqual(process.stderr.read(), b"varve: a.csv: interrupted\n")

    def test_closed_standard_files_do_not_reach_the_database(self):
        file = self.write("orders.csv", self.orders(1000))
        for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            for arguments in (f"load {self.db} orders {file} --create --key id --commits",
                              f"flush {self.db}", f"get {self.db} orders 0"):
                subprocess.run(["bash", "-c", f"{VARVE} {arguments} {closed}"], check=False,
                               capture_output=True, env=clean_environment())
        done = subprocess.run(["bash", "-c", f"{VARVE} load {self.db} orders - --input-format csv "
                               "<&-"], check=False, capture_output=True, env=clean_environment())
        self.assertIn(b"stdin: is empty", done.stderr)
        self.assertTrue(self.ok("verify", self.db, "--deep", "--json").document()["sound"])
        self.assertEqual(len(self.scan()), 1000)

    def test_a_database_that_is_open_elsewhere_says_by_whom(self):
        process = self.start_slow_load()
        self.fails(4, str(process.pid), "flush", self.db)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.ok("flush", self.db)

    def test_interrupt_ends_between_commits(self):
        process = self.start_slow_load()
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 130)
        self.assertIn(b"1 row of this load is kept", process.stderr.read())
        self.assertEqual(self.scan(), [{"id": 1}])

    def test_a_reader_that_goes_away_ends_a_scan_quietly(self):
        self.load_orders(50000)
        process = self.start("scan", self.db, "orders", "--format", "csv")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(process.stderr.read(), b"")

    def test_a_reader_that_goes_away_leaves_a_load_running(self):
        file = self.write("orders.csv", self.orders(3000))
        process = self.start("load", self.db, "orders", file, "--create", "--key", "id",
                             "--rows-per-commit", "10", "--commits")
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.wait(timeout=120), 0)
        self.assertEqual(len(self.scan()), 3000)

    def test_output_that_cannot_be_written_is_an_error(self):
        self.load_orders(10)
        with open("/dev/full", "wb") as full:
            done = subprocess.run([VARVE, "scan", self.db, "orders"], stdout=full, check=False,
                                  stderr=subprocess.PIPE, env=clean_environment())
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"No space left", done.stderr)
        self.fails(3, "nowhere", "scan", self.db, "orders", "-o", "nowhere/rows.csv")


def samples_of(text):
    """(name, labels as a sorted tuple) -> value; breaches of the text format are errors."""
    samples, families = {}, set()
    for family in prometheus_client.parser.text_string_to_metric_families(text):
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.documentation, f"{family.name} has no HELP"
        assert family.name not in families, f"{family.name} comes twice"
        families.add(family.name)
        assert family.samples, f"{family.name} has no sample"
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, f"{key} comes twice"
            samples[key] = sample.value
            if family.type == "counter":
                assert sample.name.endswith("_total"), sample
            assert not re.search("micro|milli", sample.name), sample
    return samples


class WatchingTest(ProcessCase):
    def prometheus(self, *more, **how):
        return samples_of(self.ok("stats", self.db, "--prometheus", *more, **how).out)

    def frames(self, *more, **how):
        return self.ok("top", self.db, "--json", *more, **how).lines()

    def test_prometheus_text_is_what_a_parser_of_it_reads(self):
        self.load_orders(100)
        self.ok("flush", self.db)
        samples = self.prometheus()
        stats = self.ok("stats", self.db, "--json").document()
        table = (("table", "orders"),)
        level = (("level", "0"), ("table", "orders"))
        self.assertEqual(samples["varve_commit_number", ()], stats["commit"])
        self.assertEqual(samples["varve_manifest_number", ()], stats["manifest"]["number"])
        self.assertEqual(samples["varve_table_rows", table], 100)
        self.assertEqual(samples["varve_level_bytes", level],
                         stats["tables"][0]["levels"][0]["bytes"])
        self.assertEqual(samples["varve_log_durable_lsn", ()], stats["log"]["durable_lsn"])
        self.assertIn(("varve_commit_seconds_bucket", (("ack", "durable"), ("le", "+Inf"))),
                      samples)

    def test_prometheus_and_json_exclude_each_other(self):
        self.load_orders(1)
        done = self.run_varve("stats", self.db, "--json", "--prometheus", exit_code=2)
        self.assertIn("exclude each other", done.err)

    def test_buckets_grow_to_the_count(self):
        text = self.ok("log", "append", "a.log", "--metrics", stdin=b"a\nb\n" * 50).err
        samples = samples_of(text[text.index("# HELP"):])
        bounds = sorted((float(labels[0][1]), value) for (name, labels), value in samples.items()
                        if name == "varve_log_flush_seconds_bucket")
        self.assertGreater(len(bounds), 20)
        self.assertLess(bounds[0][0], 0.001)
        counts = [count for _, count in bounds]
        self.assertEqual(counts, sorted(counts))
        self.assertEqual(counts[-1], samples["varve_log_flush_seconds_count", ()])
        self.assertGreater(samples["varve_log_flush_seconds_sum", ()], 0)

    def test_names_of_any_kind_are_labels(self):
        folder = self.folder / 'a "b"\\c.varve'
        self.db = folder
        self.load_orders(1)
        labels = next(dict(labels) for name, labels in self.prometheus()
                      if name == "varve_database_info")
        self.assertEqual(labels["path"], str(folder))

    def await_published(self, commits):
        """The metrics of the process that writes, once they tell of so many commits."""
        with self.start("top", self.db, "--json", "--interval", "0.1") as top:
            for line in top.stdout:
                frame = json.loads(line)
                if frame["source"] != "published":
                    continue
                at = {m["name"]: m["value"] for m in frame["metrics"]}
                if at["varve_commit_number"] >= commits:
                    top.kill()
                    return frame, at
        self.fail("top ended")

    def test_top_and_stats_see_what_a_writer_publishes(self):
        process = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="50"))
        frame, at = self.await_published(1)
        self.assertIn(str(process.pid), frame["holder"])
        self.assertEqual(at["varve_commit_rows_total"], 1)
        samples = self.prometheus()
        self.assertEqual(samples["varve_commits_total", (("ack", "durable"),)], 1)
        self.assertEqual(samples["varve_open", ()], 1)
        text = self.ok("top", self.db, "--once").out
        self.assertIn(f"process {process.pid}", text)
        self.assertIn("orders", text)
        process.stdin.write(b'{"id":2}\n' + b"\n" * (3 << 20))
        frame, at = self.await_published(2)
        self.assertEqual(at["varve_commit_rows_total"], 2)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(self.frames("--once")[0]["source"], "opened")

    def test_rates_are_of_two_looks(self):
        process = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="50"))
        self.await_published(1)
        with self.start("top", self.db, "--json", "--interval", "0.1") as top:
            first = json.loads(top.stdout.readline())
            self.assertEqual(set(first["per_second"].values()), {None})
            process.stdin.write(b'{"id":2}\n' + b"\n" * (3 << 20))
            rates = [json.loads(line)["per_second"]["rows"] for line, _ in zip(top.stdout,
                                                                               range(30))]
            self.assertTrue(any(rates), rates)
            top.kill()

    def test_a_writer_that_publishes_nothing_is_seen_from_outside(self):
        process = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="0"))
        frame = self.frames("--once")[0]
        self.assertEqual(frame["source"], "folder")
        self.assertEqual(frame["folder"]["manifest_number"], 2)
        self.assertGreater(frame["folder"]["log_bytes"], 0)
        self.assertIn(str(process.pid), frame["why"])
        self.assertIn("metrics_interval_ms", frame["why"])
        self.assertIn("metrics_interval_ms", self.ok("top", self.db).out)
        self.fails(4, "metrics_interval_ms", "stats", self.db, "--prometheus")
        self.ok("report", self.db, "-o", "page.html")

    def test_what_an_earlier_process_published_is_not_taken_for_the_present(self):
        killed = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="50"))
        self.await_published(1)
        killed.kill()
        killed.wait()
        self.assertIn("varve_open 1\n", (self.db / "metrics.prom").read_text())
        process = self.start("load", self.db, "orders", "-", "--input-format", "jsonl",
                             "--commits", "--rows-per-commit", "1", stdin=subprocess.PIPE,
                             bufsize=0, env=clean_environment(VARVE_METRICS_MS="0"))
        self.addCleanup(process.stdin.close)
        process.stdin.write(b'{"id":1}\n' + b"\n" * (3 << 20))
        process.stdout.readline()
        self.assertEqual(self.frames("--once")[0]["source"], "folder")

    def test_a_metrics_file_of_garbage_is_no_trouble(self):
        self.load_orders(10)
        for garbage in (b"", b"\xff\x00{{{\n", b'varve_open{a="', b"varve_open 1e\n" * 3):
            (self.db / "metrics.prom").write_bytes(garbage)
            self.ok("top", self.db, "--once")
            self.ok("report", self.db, "-o", "page.html", "--yes")
            self.ok("stats", self.db)
        self.ok("verify", self.db, "--deep")

    def test_top_shows_one_frame_to_a_pipe_and_as_many_as_asked_for(self):
        self.load_orders(1000)
        out = self.ok("top", self.db).out
        self.assertIn("1,000", out)
        self.assertNotIn("\x1b", out)
        self.assertEqual(len(self.frames("--count", "3", "--interval", "0.1")), 3)
        self.fails(3, "no such folder", "top", "nowhere.varve", "--once")

    def in_terminal(self, env=None, keys=b"q", ending=None):
        """What top writes to a terminal, which is then as it was. Once a frame is there the keys
        are pressed, or this signal is sent."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        before = subprocess.run(["stty", "-a"], stdin=slave, capture_output=True, check=True).stdout
        process = subprocess.Popen([VARVE, "top", self.db], stdin=slave, stdout=slave,
                                   stderr=slave, env=env or clean_environment(TERM="xterm"))
        self.addCleanup(process.kill)
        out = b""
        while select.select([master], [], [], 0 if process.poll() is not None else 0.1)[0] or \
                process.poll() is None:
            if not select.select([master], [], [], 0)[0]:
                continue
            out += os.read(master, 1 << 16)
            if b"q quits" in out and keys:
                if ending:
                    process.send_signal(ending)
                else:
                    os.write(master, keys)
                keys = b""
        after = subprocess.run(["stty", "-a"], stdin=slave, capture_output=True, check=True).stdout
        os.close(slave)
        self.assertEqual(before, after)
        self.assertEqual(process.returncode, 0, out)
        return out.decode()

    def test_top_leaves_the_terminal_as_it_was(self):
        self.load_orders(10)
        out = self.in_terminal()
        self.assertTrue(out.startswith("\x1b[?1049h\x1b[?25l"), repr(out))
        self.assertTrue(out.endswith("\x1b[?25h\x1b[?1049l"), repr(out))
        self.assertIn("\x1b[1m", out)
        self.assertIn("orders", out)
        for ending in (signal.SIGINT, signal.SIGTERM):
            self.assertTrue(self.in_terminal(ending=ending).endswith("\x1b[?1049l"))

    def terminal_of(self, slave):
        return subprocess.run(["stty", "-a"], stdin=slave, capture_output=True, check=True).stdout

    def top_in_terminal(self):
        """A running top, its terminal's two ends, and what the terminal was like before."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        before = self.terminal_of(slave)
        process = subprocess.Popen([VARVE, "top", self.db, "--interval", "60"], stdin=slave,
                                   stdout=slave, stderr=slave, process_group=0,  # may be stopped
                                   env=clean_environment(TERM="xterm"))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.read_until(master, b"q quits")
        return process, master, slave, before

    def read_until(self, master, wanted):
        out = b""
        while wanted not in out:
            self.assertTrue(select.select([master], [], [], 60)[0], out)
            out += os.read(master, 1 << 16)
        return out

    def test_keys_of_several_bytes_do_not_quit(self):
        self.load_orders(10)
        process, master, _, _ = self.top_in_terminal()
        for keys in (b"\x1b[A", b"\x1bOB", b"\x1b[1;5C", b"\x1b[15~", b"\x1bf"):
            os.write(master, keys)
        os.write(master, b" ")  # any other key draws again
        self.read_until(master, b"q quits")
        self.assertIsNone(process.poll())
        os.write(master, b"\x1b")
        self.assertEqual(process.wait(timeout=60), 0)

    def test_a_stopped_top_leaves_the_terminal_as_it_was(self):
        self.load_orders(10)
        process, master, slave, before = self.top_in_terminal()
        for stop in (signal.SIGTSTP, signal.SIGTSTP, signal.SIGSTOP):
            self.assertNotEqual(self.terminal_of(slave), before)
            process.send_signal(stop)
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            self.assertTrue(os.WIFSTOPPED(status), status)
            if stop == signal.SIGTSTP:
                self.read_until(master, b"\x1b[?25h\x1b[?1049l")
                self.assertEqual(self.terminal_of(slave), before)
            process.send_signal(signal.SIGCONT)
            again = self.read_until(master, b"q quits")
            self.assertIn(b"\x1b[?1049h\x1b[?25l", again)
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(process.wait(timeout=60), -signal.SIGQUIT)
        self.assertEqual(self.terminal_of(slave), before)

    def publish(self, *lines):
        """A load that holds the database, and metrics that it seems to have published."""
        process = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="0"))
        text = "".join(line + "\n" for line in (
            f'varve_database_info{{path="/db",pid="{process.pid}"}} 1', "varve_open 1", *lines))
        (self.db / "metrics.prom").write_text(text)
        return process

    def test_absurd_metrics_are_shown_as_something(self):
        for value in ("1e300", "-1e300", "1e18", "nan", "inf", "-inf", "9223372036854775808"):
            with self.subTest(value=value):
                self.db = self.folder / f"{value}.varve"
                names = ("text_timestamp_seconds", "commits_total", "memtable_bytes",
                         "memtable_bytes_max", "read_cache_bytes", "table_rows",
                         'commit_seconds_bucket{le="1"}', "commit_wait_seconds_sum")
                process = self.publish(*(f"varve_{name} {value}" for name in names))
                frame = self.frames("--once")[0]
                self.assertEqual(frame["source"], "published")
                self.assertRegex(frame["time"], r"^(1970|9999)-\d\d-\d\d")
                self.assertLess(len(self.ok("top", self.db, "--once").out), 4096)
                process.kill()

    def test_no_byte_of_a_name_moves_the_terminal(self):
        self.publish('varve_table_rows{table="a\x1b[2J\u009b2J"} 1',
                     'varve_level_runs{table="b",level="\x1b[2J"} 1',
                     'varve_table_rows{table="b"} 1')
        with open(self.db / "metrics.prom", "ab") as file:
            file.write(b'varve_table_rows{table="c\x9b2J"} 1\n')
        out = self.ok("top", self.db, "--once").out.encode()
        self.assertEqual(self.frames("--once")[0]["source"], "published")
        for byte in (b"\x1b", b"\xc2\x9b", b"\x9b"):
            self.assertNotIn(byte, out)
        self.assertIn(b"a\\x1b[2J\\u009b2J", out)
        self.assertIn(b"c\\x9b2J", out)

    def test_what_is_no_small_file_is_no_metrics(self):
        process = self.start_slow_load(env=clean_environment(VARVE_METRICS_MS="0"))
        path = self.db / "metrics.prom"
        text = f'varve_database_info{{pid="{process.pid}"}} 1\nvarve_open 1\n'
        other = self.write("other", text)

        def large():
            with open(path, "wb") as file:
                file.truncate(1 << 40)

        for make in (path.mkdir, lambda: path.symlink_to("/dev/zero"), lambda: os.mkfifo(path),
                     lambda: path.symlink_to(other), lambda: path.symlink_to(path), large):
            make()
            self.assertEqual(self.frames("--once")[0]["source"], "folder")
            self.fails(4, "metrics_interval_ms", "stats", self.db, "--prometheus")
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()

    def test_no_color_leaves_only_the_movements(self):
        self.load_orders(10)
        out = self.in_terminal(env=clean_environment(TERM="xterm", NO_COLOR="1"))
        self.assertNotRegex(out, r"\x1b\[[0-9;]+m")


class StorageTest(CliTest):
    def as_nobody(self):
        """A prefix that drops root's right to write anywhere; nothing when we are not root."""
        if os.geteuid() != 0:
            return ()
        if shutil.which("setpriv") is None:
            self.skipTest("setpriv is not installed")
        prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        probe = subprocess.run([*prefix, VARVE, "--version"], capture_output=True, check=False,
                               env=clean_environment())
        if probe.returncode != 0:
            self.skipTest("another user cannot run the build")
        return prefix

    def lock_down(self, path):
        """Everybody may read, nobody may write."""
        os.chmod(self.folder, 0o755)
        for entry in [path, *path.rglob("*")]:
            entry.chmod(0o555 if entry.is_dir() else 0o444)

    def test_a_read_only_folder_can_be_read_but_not_written(self):
        self.load_orders(10)
        self.ok("flush", self.db)
        prefix = self.as_nobody()
        self.lock_down(self.db)
        self.addCleanup(subprocess.run, ["chmod", "-R", "u+w", str(self.db)], check=False)
        self.fails(8, ".", "flush", self.db, prefix=prefix)
        self.fails(8, ".", "load", self.db, "orders", "orders.csv", prefix=prefix)
        self.assertEqual(self.ok("scan", self.db, "orders", "--count", prefix=prefix).out, "10\n")

    def test_a_new_database_in_a_read_only_folder(self):
        prefix = self.as_nobody()
        os.chmod(self.folder, 0o555)
        self.addCleanup(os.chmod, self.folder, 0o755)
        self.fails(8, ".", "create", self.db, "t", "--key", "id", "--schema", "id int64",
                   prefix=prefix)

    def mount_small_disk(self):
        """The database of this test will be on a disk of 12 MiB, which is given."""
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("a small disk can be mounted by root only")
        self.addCleanup(subprocess.run, ["umount", "-l", str(disk)], check=False)
        self.db = disk / "shop.varve"
        return disk

    def fill(self, filler):
        with open(filler, "wb", buffering=0) as file:
            with self.assertRaisesRegex(OSError, "No space left"):
                while True:
                    file.write(bytes(4096))

    def fails_for_room(self, *arguments, **more):
        """The verb ends with exit 7 and an error that its reader knows as a full disk."""
        error = json.loads(self.run_varve(*arguments, "--json", exit_code=7, **more).err)["error"]
        self.assertEqual((error["kind"], error["reason"]), ("Unavailable", "NoSpace"), error)
        return error["message"]

    def test_a_full_disk_keeps_what_was_acknowledged(self):
        self.mount_small_disk()
        rows = "id,name\n" + "".join(f"{i},{os.urandom(150).hex()}\n" for i in range(100_000))
        file = self.write("big.csv", rows)
        done = self.run_varve("load", self.db, "orders", file, "--create", "--key", "id",
                              "--rows-per-commit", "1000", "--commits", exit_code=7)
        self.assertRegex(done.err, r"\Avarve: ")
        self.assertIn("No space left", done.err)
        kept = done.lines()[-1]["rows_total"]
        self.assertIn(f"{kept:,} rows of this load are kept", done.err)
        copy = self.folder / "copy.varve"
        shutil.copytree(self.db, copy)
        self.db = copy
        self.assertGreaterEqual(int(self.ok("scan", copy, "orders", "--count").out), kept)
        self.ok("verify", copy, "--deep")

    def test_a_full_disk_refuses_what_needs_room_and_nothing_else(self):
        filler = self.mount_small_disk() / "filler"
        self.load_orders(10)
        self.ok("flush", self.db)
        self.fill(filler)
        create = ("create", self.db, "two", "--key", "id", "--schema", "id int64")
        self.assertIn("No space left", self.fails_for_room(*create))
        self.assertIn("No space left", self.fails_for_room("load", self.db, "orders", "orders.csv"))
        self.ok("flush", self.db)  # opens to write, and has nothing to write
        self.assertEqual(len(self.scan()), 10)
        filler.unlink()
        self.ok(*create)
        self.ok("load", self.db, "orders", self.write("more.csv", self.orders(20)))
        self.assertEqual(len(self.scan()), 20)

    def test_a_limit_of_the_size_of_files_is_a_full_disk(self):
        self.load_orders(10)
        limited = ("bash", "-c", 'trap "" XFSZ; ulimit -f 100; exec "$@"', "-")
        self.fails_for_room("load", self.db, "orders", "orders.csv", prefix=limited)
        self.assertEqual(len(self.scan()), 10)
        self.ok("load", self.db, "orders", "orders.csv")


if __name__ == "__main__":
    program = unittest.main(exit=False)
    for test, reason in program.result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    sys.exit(0 if program.result.wasSuccessful() else 1)
