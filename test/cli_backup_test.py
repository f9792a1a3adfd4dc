#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Backup, clone, restore-backup, repair and export-log as an operator meets them: on the real disk,
beside a loader that writes, with each exit code and bad input.

usage: cli_backup_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR.
"""

import datetime
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import pyarrow.parquet as pq

import cli_test
from cli_test import VARVE, clean_environment


class BackupTest(cli_test.CliTest):
    def setUp(self):
        super().setUp()
        self.copy = self.folder / "copy.varve"

    def rows_of(self, path, *more):
        return self.ok("scan", path, "orders", "--json", *more).lines()

    def append(self, first, rows=5, **more):
        file = self.write("more.csv", self.orders(rows, first))
        return self.ok("load", self.db, "orders", file, **more)

    def files(self, path):
        return {str(f.relative_to(path)): f.read_bytes()
                for f in sorted(path.rglob("*")) if f.is_file()}

    def damage(self, path, at=None):
        content = bytearray(path.read_bytes())
        content[len(content) // 2 if at is None else at] ^= 0x40
        path.write_bytes(content)

    def test_a_backup_is_read_where_it_lies_and_the_next_copies_what_is_new(self):
        self.load_orders(1000)
        self.ok("flush", self.db)
        self.append(2000)  # only in the log
        before = self.files(self.db)
        made = self.ok("backup", self.db, self.copy, "--verify", "--json").document()
        self.assertEqual(self.files(self.db), before)
        self.assertEqual((made["commit"], made["commits_from_log"]), (2, 1))
        self.assertEqual(self.rows_of(self.copy), self.rows_of(self.db))
        self.ok("verify", self.copy, "--deep")
        self.append(3000)
        self.ok("flush", self.db)
        second = self.ok("backup", self.db, self.copy, "--json").document()
        self.assertGreaterEqual(second["files_reused"], 2)
        self.assertLess(second["bytes_copied"], made["bytes_copied"])
        self.assertEqual(self.rows_of(self.copy), self.rows_of(self.db))
        text = self.ok("backup", self.db, self.copy).out
        self.assertRegex(text, r"backed up to .* as of commit 3: \d+ files, 0 B copied, .* used as "
                               r"they are")

    def test_what_is_not_its_own_stays_as_it_is(self):
        self.load_orders(1000)
        self.ok("backup", self.db, self.copy)
        elsewhere = self.folder / "elsewhere"
        (elsewhere / "orders").mkdir(parents=True)
        names = ["a.txt", "%020d" % 7, "orders/%020d.parquet" % 7]
        for name in names:
            (elsewhere / name).write_text("precious")
        for link in ("data/link", "data/orders/link", "times/link", "origin/link"):
            (self.copy / link).symlink_to(elsewhere)
        foreign = [self.copy / "data" / "orders" / "mine.txt", self.copy / "data" / "mine.txt",
                   self.copy / "times" / "mine.txt"]
        for file in foreign:
            file.write_text("mine")
        for first in (2000, 3000):
            self.append(first)
            self.ok("backup", self.db, self.copy)
        self.assertEqual(self.rows_of(self.copy), self.rows_of(self.db))
        for name in names:
            self.assertEqual((elsewhere / name).read_text(), "precious")
        for file in foreign:
            self.assertEqual(file.read_text(), "mine")

    def test_bad_destinations(self):
        self.load_orders()
        self.fails(3, "there is no database", "backup", self.folder / "none", self.copy)
        self.fails(2, "is the database itself", "backup", self.db, f"{self.db}/")
        self.fails(2, "is the database itself", "backup", self.db, "./shop.varve")
        self.fails(2, "lies inside of the database", "backup", self.db, self.db / "data" / "x")
        full = self.folder / "full"
        full.mkdir()
        (full / "mine.txt").write_text("mine")
        for verb in ("backup", "clone", "restore-backup"):
            self.fails(2, r"holds 'mine\.txt'; a .* is made in a new or empty folder", verb,
                       self.db, full)
        self.assertEqual([p.name for p in full.iterdir()], ["mine.txt"])
        self.ok("backup", self.db, self.copy)
        for verb in ("clone", "restore-backup"):
            self.fails(2, "holds a database", verb, self.db, self.copy)
        self.ok("delete", self.copy, "orders", "--where", "id = 1", "--yes")
        self.fails(2, "was written to since it was a backup; give a new folder", "backup", self.db,
                   self.copy)
        self.fails(9, "S3", "backup", self.db, "s3://bucket/prefix")
        self.assertFalse((self.db / "data" / "x").exists())

    def test_a_link_to_the_database_is_not_taken_for_another_folder(self):
        self.load_orders()
        link = self.folder / "link"
        link.symlink_to(self.db)
        before = self.files(self.db)
        self.fails(2, "is the database itself", "backup", self.db, link)
        self.fails(2, "lies inside of the database", "backup", self.db, link / "data" / "x")
        self.assertEqual(self.files(self.db), before)

    def test_what_somebody_else_keeps_in_a_folder_called_tmp_stays(self):
        self.load_orders()
        precious = self.copy / "tmp" / "precious"
        precious.parent.mkdir(parents=True)
        precious.write_text("mine")
        for verb in ("backup", "clone"):
            self.run_varve(verb, self.db, self.copy)
            self.assertEqual(precious.read_text(), "mine")

    def test_the_log_of_another_backup_is_not_taken(self):
        self.load_orders()
        other = self.folder / "other.varve"
        for to in (self.copy, other):
            self.ok("backup", self.db, to)
        shutil.rmtree(self.copy / "log")
        shutil.copytree(other / "log", self.copy / "log")
        self.append(2000)
        self.assertNotEqual(self.run_varve("backup", self.db, self.copy).exit, 0)

    def test_verify_looks_at_what_a_backup_is_of(self):
        self.load_orders()
        self.ok("backup", self.db, self.copy)
        (origin,) = (self.copy / "origin").iterdir()
        with open(origin, "a") as out:
            out.write("x")
        found = self.run_varve("verify", self.copy, "--json")
        self.assertEqual(found.exit, 6)
        self.assertIn("origin/", found.out)

    def test_an_archive_that_is_no_folder_is_refused(self):
        self.load_orders()
        file = self.write("file", "")
        self.fails(2, "VARVE_ARCHIVE: .* is no folder; nothing was done", "flush", self.db,
                   env=clean_environment(VARVE_ARCHIVE=str(file)))

    def test_damage_is_not_copied(self):
        self.load_orders(1000)
        self.ok("flush", self.db)
        run = next((self.db / "data").rglob("*.parquet"))
        self.damage(run, 100)
        self.fails(6, run.name, "backup", self.db, self.copy)
        self.fails(2, "is not complete: make it again there, or remove the folder", "load",
                   self.copy, "orders", self.write("o.csv", self.orders()), "--create", "--key",
                   "id")

    def test_a_clone_shares_files_until_they_go_and_neither_sees_the_other(self):
        self.load_orders(1000)
        self.ok("flush", self.db)
        made = self.ok("clone", self.db, self.copy, "--json").document()
        self.assertEqual(made["files_reused"], 1)
        run = next((self.db / "data").rglob("*.parquet"))
        twin = self.copy / run.relative_to(self.db)
        self.assertEqual(run.stat().st_ino, twin.stat().st_ino)
        self.ok("delete", self.copy, "orders", "--where", "id <= 999", "--yes")
        self.ok("compact", self.copy)
        self.ok("retire", self.copy, "--keep", "0s")
        self.assertFalse(twin.exists())
        self.assertEqual(len(self.rows_of(self.copy)), 1)
        self.assertEqual(len(self.rows_of(self.db)), 1000)
        self.ok("verify", self.db, "--deep")
        self.ok("verify", self.copy, "--deep")

    def test_a_clone_to_another_file_system_says_what_to_do(self):
        other = pathlib.Path("/dev/shm")
        if not other.is_dir() or other.stat().st_dev == self.folder.stat().st_dev:
            self.skipTest("there is no other file system")
        other = pathlib.Path(tempfile.mkdtemp(dir=other))
        self.addCleanup(shutil.rmtree, other, ignore_errors=True)
        self.load_orders()
        self.ok("flush", self.db)
        self.fails(2, "different file systems.*copy them instead, with --copy", "clone", self.db,
                   other / "c")
        self.assertFalse((other / "c").exists())
        self.ok("clone", self.db, other / "c", "--copy")
        self.assertEqual(self.rows_of(other / "c"), self.rows_of(self.db))

    def test_a_writer_elsewhere_is_named(self):
        self.load_orders()
        loader = subprocess.Popen([VARVE, "load", self.db, "orders", "-", "--input-format", "csv"],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  cwd=self.folder, env=clean_environment())
        self.addCleanup(loader.wait)
        self.addCleanup(loader.kill)
        loader.stdin.write(b"id,name\n50,a\n51,b\n")
        loader.stdin.flush()
        lock = self.db / "LOCK"
        while str(loader.pid) not in lock.read_text():
            self.assertIsNone(loader.poll())
        self.fails(4, str(loader.pid), "repair", self.db)
        self.fails(4, str(loader.pid), "repair", self.db, "--yes")
        self.assertFalse((self.db / "set-aside").exists())
        loader.stdin.close()
        self.assertEqual(loader.wait(), 0)

    def test_each_verb_that_writes_archives_to_its_end(self):
        archive = self.folder / "archive"
        env = clean_environment(VARVE_ARCHIVE=str(archive))
        self.load_orders(1000)
        self.ok("backup", self.db, self.copy)
        self.ok("delete", self.db, "orders", "--where", "id = 1", "--yes", env=env)
        bad = self.write("bad.csv", self.orders(5, 5000) + "no,number\n")
        self.fails(1, "5 rows .* are kept", "load", self.db, "orders", bad, "--rows-per-commit",
                   "1", env=env)
        whole = self.folder / "whole.varve"
        self.ok("restore-backup", self.copy, whole, "--archive", archive)
        self.assertEqual(self.rows_of(whole), self.rows_of(self.db))

    def test_a_backup_and_the_archived_log_make_any_commit(self):
        archive = self.folder / "archive"
        env = clean_environment(VARVE_ARCHIVE=str(archive))
        self.ok("load", self.db, "orders", self.write("o.csv", self.orders(5)), "--create",
                "--key", "id", env=env)
        self.ok("backup", self.db, self.copy)
        times = {}
        for commit in (2, 3, 4):
            self.append(commit * 100, env=env)
            times[commit] = datetime.datetime.now(datetime.timezone.utc).isoformat()
        self.ok("flush", self.db, env=env)
        shutil.move(self.db, self.folder / "lost.varve")
        restore = ("restore-backup", self.copy, self.db)
        made = self.ok(*restore, "--archive", archive, "--to", "3", "--json").document()
        self.assertEqual((made["commit"], made["commits_from_log"]), (3, 2))
        self.assertEqual(len(self.rows_of(self.db)), 15)
        self.ok("verify", self.db, "--deep")
        by_time = self.folder / "by-time.varve"
        self.ok("restore-backup", self.copy, by_time, "--archive", archive, "--to", times[2])
        self.assertEqual(len(self.rows_of(by_time)), 10)
        whole = self.folder / "whole.varve"
        self.ok("restore-backup", self.copy, whole, "--archive", archive)
        self.assertEqual(self.rows_of(whole), self.rows_of(self.folder / "lost.varve"))
        new = self.folder / "new.varve"
        self.fails(3, "the archive ends with commit 4, so commit 9 cannot", "restore-backup",
                   self.copy, new, "--archive", archive, "--to", "9")
        self.fails(3, "give that too", "restore-backup", self.copy, new, "--to", "3")
        self.fails(2, "is as of commit 1 of .*restore an older backup", "restore-backup",
                   self.folder / "copy.varve", new, "--to", "0")
        self.fails(3, "is no folder", "restore-backup", self.copy, new, "--archive", "nowhere")
        self.assertFalse(new.exists())

    def test_repair_says_what_it_costs_and_then_does_it(self):
        self.load_orders(100)
        self.ok("flush", self.db)
        self.append(50, 10)
        self.ok("flush", self.db)
        runs = sorted((self.db / "data").rglob("*.parquet"))
        self.damage(runs[-1], 100)
        before = self.files(self.db)
        would = self.run_varve("repair", self.db, exit_code=6).out
        self.assertIn("10 versions of commits 2 to 2, keys 50 to 59 are lost", would)
        self.assertIn("OLDER VALUES MAY COME BACK: keys from 50 to 59", would)
        self.assertIn("nothing was changed", would)
        self.assertEqual(self.files(self.db), before)
        found = self.run_varve("repair", self.db, "--json", exit_code=6).document()
        self.assertEqual((found["runs"][0]["rows"], found["applied"]), (10, False))
        done = self.ok("repair", self.db, "--yes").out
        self.assertIn("set aside in", done)
        aside = self.db / "set-aside" / "1" / runs[-1].relative_to(self.db)
        self.assertTrue(aside.exists())
        self.ok("verify", self.db, "--deep")
        self.assertEqual(len(self.rows_of(self.db)), 100)
        self.append(500)
        again = self.ok("repair", self.db, "--yes").out
        self.assertIn("is sound: nothing is to be repaired", again)
        self.fails(3, "there is no database", "repair", self.folder / "none")

    def test_the_log_is_exported_whatever_else_is_damaged(self):
        self.load_orders(10)
        self.ok("flush", self.db)
        self.append(5, 3)
        self.ok("delete", self.db, "orders", "--where", "id = 1", "--yes")
        for run in (self.db / "data").rglob("*.parquet"):
            self.damage(run)
        out = self.folder / "rescued"
        exported = self.ok("export-log", self.db, "-o", out, "--json").document()
        self.assertEqual((exported["commits"], exported["first"], exported["last"]), (2, 2, 3))
        rows = pq.read_table(out / "orders.parquet").to_pylist()
        self.assertEqual([(r["varve_commit"], r["varve_kind"], r["id"], r["name"]) for r in rows],
                         [(2, "upsert", 5, "order 5"), (2, "upsert", 6, "order 6"),
                          (2, "upsert", 7, "order 7"), (3, "delete", 1, None)])
        self.fails(2, "holds 'orders.parquet'; give a new or empty folder", "export-log", self.db,
                   "-o", out)
        newest = max((self.db / "manifest").iterdir())
        self.damage(newest)
        done = self.run_varve("export-log", self.db, "-o", self.folder / "again", exit_code=6)
        self.assertIn(newest.name, done.out)
        self.assertIn("orders.parquet", done.out)
        self.fails(3, "there is no log", "export-log", self.folder, "-o", self.folder / "x")


if __name__ == "__main__":
    unittest.main()
