#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypted databases on the command line: every verb with --key-file, keys that are no good, and
other readers of Parquet with the key of one file.

usage: cli_keys_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR.
"""

import json
import unittest

import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe

import cli_test
from cli_test import clean_environment

APRIL = "april " + "a1" * 32
MAY = "may " + "b2" * 32
CANARY = "canary-4711-sings"


class KeysTest(cli_test.CliTest):
    def setUp(self):
        super().setUp()
        self.keys = self.write("keys", APRIL + "\n")
        self.env = clean_environment(VARVE_KEY_FILE=str(self.keys))

    def make(self, rows=2000):
        self.ok("create", self.db, "birds", "--key", "id", "--schema", "id int64, song utf8",
                "--key-file", self.keys)
        lines = "".join(json.dumps({"id": i, "song": f"{CANARY} {i}"}) + "\n" for i in range(rows))
        self.ok("load", self.db, "birds", self.write("birds.jsonl", lines), env=self.env)
        self.ok("flush", self.db, env=self.env)

    def files(self):
        return {f: f.read_bytes() for f in sorted(self.db.rglob("*")) if f.is_file()}

    def runs(self):
        return [f for f in self.files() if f.suffix == ".parquet"]

    def test_every_verb_works_with_the_keys_and_none_without(self):
        self.make(50)
        path = self.db
        verbs = [("scan", path, "birds"), ("get", path, "birds", "7"), ("tables", path),
                 ("stats", path), ("versions", path), ("changes", path, "birds", "--from", "0"),
                 ("tag", path, "now"), ("untag", path, "now"), ("verify", path, "--deep"),
                 ("delete", path, "birds", "--where", "id = 3", "--yes"),
                 ("alter", path, "birds", "--add", "n int32"),
                 ("restore", path, "birds", "--at", "1"), ("rename", path, "birds", "fowl"),
                 ("flush", path), ("rekey", path), ("drop", path, "fowl", "--yes")]
        for verb in verbs:
            with self.subTest(verb=verb[0]):
                self.fails(2 if verb[0] == "rekey" else 8, "--key-file", *verb)
                ran = self.run_varve(*verb, env=self.env)
                self.assertEqual(ran.exit, 0, ran.err)

    def test_the_flag_wins_over_the_variable(self):
        self.make(5)
        env = clean_environment(VARVE_KEY_FILE=str(self.write("other", MAY)))
        self.fails(8, "has no such key", "tables", self.db, env=env)
        self.ok("tables", self.db, "--key-file", self.keys, env=env)

    def test_a_missing_a_wrong_and_an_expired_key_are_told_apart_and_change_nothing(self):
        self.make(5)
        before = self.files()
        cases = {"MissingKey": MAY, "WrongKey": "april " + "c3" * 32,
                 "ExpiredKey": APRIL + " until=2020-01-01"}
        for reason, line in cases.items():
            keys = self.write("bad", line)
            for verb in (("tables", self.db), ("flush", self.db), ("verify", self.db),
                         ("load", self.db, "birds", self.write("more.jsonl", '{"id": 1}'))):
                with self.subTest(reason=reason, verb=verb[0]):
                    ran = self.run_varve(*verb, "--json", "--key-file", keys, exit_code=8)
                    self.assertEqual(json.loads(ran.err)["error"]["reason"], reason)
        after = self.files()
        lock = self.db / "LOCK"
        self.assertEqual({f for f in before if before[f] != after.get(f)} - {lock}, set())
        self.assertEqual(set(before), set(after))

    def test_no_key_that_is_no_good_makes_a_database(self):
        for line in (APRIL + " until=2020-01-01", "too short"):
            ran = self.run_varve("create", self.db, "t", "--key", "id", "--schema", "id int64",
                                 "--key-file", self.write("bad", line))
            self.assertNotEqual(ran.exit, 0)
            self.assertFalse(self.db.exists())

    def test_a_plain_database_is_not_opened_with_keys(self):
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64")
        for verb in (("tables", self.db), ("flush", self.db), ("verify", self.db)):
            ran = self.run_varve(*verb, "--json", env=self.env, exit_code=8)
            error = json.loads(ran.err)["error"]
            self.assertEqual((error["kind"], error["reason"]), ("Invalid", "NotEncrypted"))
            self.assertIn("not encrypted", error["message"])

    def test_nothing_of_the_rows_is_in_any_file(self):
        self.env["VARVE_METRICS_MS"] = "1"
        self.make()
        metrics = (self.db / "metrics.prom").read_text()
        self.assertIn('varve_table_rows{table="id 1"} 2000\n', metrics)
        for path, content in self.files().items():
            for word in (CANARY, "birds", "song", "a1" * 32):
                self.assertNotIn(word.encode(), content, path)
                self.assertNotIn(word, str(path.relative_to(self.db)))

    def test_rekey_lets_go_of_the_old_key(self):
        self.make(300)
        runs = {f: f.read_bytes() for f in self.runs()}
        both = self.write("both", MAY + "\n" + APRIL + "\n")
        self.assertIn("'may' alone", self.ok("rekey", self.db, "--key-file", both).out)
        self.assertEqual({f: f.read_bytes() for f in self.runs()}, runs)
        alone = self.write("alone", MAY)
        self.assertEqual(self.ok("scan", self.db, "birds", "--key-file", alone,
                                 "--json").out.count(CANARY), 300)
        found = self.ok("verify", self.db, "--deep", "--json", "--key-file", alone).document()
        self.assertTrue(found["sound"])
        self.assertGreater(found["manifests_without_key"], 0)
        self.fails(8, "'may'", "tables", self.db, env=self.env)

    def test_pyarrow_reads_a_run_with_its_own_key(self):
        self.make(2000)
        run = self.runs()[0]
        with self.assertRaises(OSError):
            pq.read_table(run)
        self.fails(2, "--key-file", "inspect", run, "--data-key")
        key = bytes.fromhex(self.ok("inspect", run, "--data-key", env=self.env).out)
        table = pq.read_table(run, decryption_properties=pe.create_decryption_properties(key))
        self.assertEqual(table.num_rows, 2000)
        self.assertEqual(table["song"][17].as_py(), f"{CANARY} 17")
        self.assertEqual(table.column_names, ["id", "song", "_varve_commit"])

    def test_row_groups_that_many_threads_write_and_read(self):
        self.make(70000)
        rows = self.ok("scan", self.db, "birds", "--json", env=self.env).lines()
        self.assertEqual(rows, [{"id": i, "song": f"{CANARY} {i}"} for i in range(70000)])
        found = self.ok("scan", self.db, "birds", "--json", "--where", "id = 69000 or id = 3",
                        env=self.env).lines()
        self.assertEqual([row["id"] for row in found], [3, 69000])
        got = self.ok("get", self.db, "birds", "65535", "65536", "--json", env=self.env).lines()
        self.assertEqual([row["song"] for row in got], [f"{CANARY} 65535", f"{CANARY} 65536"])

    def test_inspect_shows_what_it_can(self):
        self.make(20)
        manifest = sorted((self.db / "manifest").iterdir())[-1]
        self.fails(8, "key", "inspect", manifest)
        shown = self.ok("inspect", manifest, env=self.env).out
        self.assertIn("encrypted with key 'april'", shown)
        self.assertIn("data_file_key=(secret)", shown)
        self.assertIn("encrypted", self.ok("inspect", self.runs()[0], env=self.env).out)


if __name__ == "__main__":
    unittest.main()
