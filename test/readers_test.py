#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many processes on one database: one writes, compacts and retires, others read.

Every row that a reader sees has to be right: commit i of the writer sets each of its keys to i, so
a version shows one value in all rows, and no reader may ever see an older one than before. No
process may fail to open, whatever the writer removes meanwhile.

usage: readers_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import unittest

import cli_test
from cli_test import clean_environment

KEYS = 200
READERS = 8
SECONDS = int(os.environ.get("VARVE_READERS_SECONDS", "15"))


class ReadersTest(cli_test.CliTest):
    def start_writer(self, commits, env=None):
        """Loads `commits` versions of the same keys, one a commit, in small memtables."""
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64, v int64, pad utf8")
        rows = self.folder / "rows.jsonl"
        with open(rows, "w", encoding="utf-8") as file:
            for version in range(1, commits + 1):
                for key in range(KEYS):
                    pad = f"{version * 7919 + key:060d}"
                    file.write(f'{{"id":{key},"v":{version},"pad":"{pad}"}}\n')
        return self.start("load", self.db, "t", str(rows), "--rows-per-commit", str(KEYS),
                          env=env or clean_environment(VARVE_MEMTABLE_BYTES=str(1 << 20)))

    def look(self):
        """The version that a scan shows, which all keys have; 0: there are no rows yet."""
        rows = self.ok("scan", self.db, "t", "--columns", "id,v", "--json").lines()
        if not rows:
            return 0
        self.assertEqual([row["id"] for row in rows], list(range(KEYS)))
        versions = {row["v"] for row in rows}
        self.assertEqual(len(versions), 1, "rows of several commits in one scan")
        return versions.pop()

    def test_readers_beside_a_writer_that_compacts_and_retires(self):
        writer = self.start_writer(2500)
        seen, looks = 0, 0
        while writer.poll() is None:
            version = self.look()
            self.assertGreaterEqual(version, seen, "a reader went back in time")
            seen, looks = version, looks + 1
        self.assertEqual(writer.returncode, 0)
        self.assertGreater(looks, 3)
        self.assertEqual(self.look(), 2500)
        stats = self.ok("stats", self.db, "--json").document()
        self.assertEqual(stats["writer"], "")
        self.ok("retire", self.db, "--keep", "0s")
        self.assertEqual(self.look(), 2500)
        self.ok("verify", self.db, "--deep")
        self.assertEqual(os.listdir(self.db / "leases"), [])

    def test_eight_readers_beside_a_writer(self):
        """As long as VARVE_READERS_SECONDS says: ten minutes in the long form."""
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64, v int64, pad utf8")
        self.ok("retire", self.db, "--window", "0s")
        writer = self.start("load", self.db, "t", "-", "--input-format", "jsonl",
                            "--rows-per-commit", str(KEYS), stdin=subprocess.PIPE,
                            env=clean_environment(VARVE_MEMTABLE_BYTES=str(1 << 20)))
        end = time.monotonic() + SECONDS
        wrong, looks, versions = [], [0] * READERS, [0] * READERS

        def read(which):
            try:
                while time.monotonic() < end and not wrong:
                    version = self.look()
                    self.assertGreaterEqual(version, versions[which], "back in time")
                    versions[which] = version
                    looks[which] += 1
            except BaseException as error:  # also of an assertion: whoever started us raises it
                wrong.append(error)

        threads = [threading.Thread(target=read, args=(i,)) for i in range(READERS)]
        for thread in threads:
            thread.start()
        version = 0
        while time.monotonic() < end and not wrong:
            version += 1
            writer.stdin.write("".join(
                f'{{"id":{key},"v":{version},"pad":"{version * 7919 + key:060d}"}}\n'
                for key in range(KEYS)).encode())
        writer.stdin.close()
        for thread in threads:
            thread.join()
        if wrong:
            raise wrong[0]
        self.assertEqual(writer.wait(timeout=120), 0)
        self.assertEqual(self.look(), version)
        stats = self.ok("stats", self.db, "--json").document()
        runs = sum(level["runs"] for level in stats["tables"][0]["levels"])
        files = len(list(self.db.glob("data/*/*.parquet")))
        print(f"{version} commits, {sum(looks)} scans by {READERS} readers, {runs} runs, "
              f"{files} files at the end", file=sys.stderr)
        self.assertGreater(min(looks), 0)
        self.assertGreater(max(versions), 1)
        self.ok("verify", self.db, "--deep")
        self.ok("retire", self.db)
        self.assertLess(len(list(self.db.glob("data/*/*.parquet"))), 20)
        self.assertEqual(os.listdir(self.db / "leases"), [])

    def test_a_commit_that_is_only_in_the_log_is_seen_at_once(self):
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64")
        writer = self.start("load", self.db, "t", "-", "--input-format", "jsonl", "--commits",
                            "--rows-per-commit", "1", stdin=subprocess.PIPE, bufsize=0)
        self.addCleanup(writer.stdin.close)
        for i in range(1, 6):
            writer.stdin.write(b'{"id":%d}\n' % i + b"\n" * (3 << 20))
            writer.stdout.readline()
            self.assertEqual(self.ok("scan", self.db, "t", "--count").out, f"{i}\n")
        stats = self.ok("stats", self.db, "--json").document()
        self.assertIn(str(writer.pid), stats["writer"])
        self.assertIn(str(writer.pid), self.ok("stats", self.db).out)
        self.fails(4, str(writer.pid), "flush", self.db)
        begun = time.monotonic()
        self.fails(4, str(writer.pid), "flush", self.db, "--wait", "1s")
        self.assertGreater(time.monotonic() - begun, 0.9)

    def test_who_waits_for_the_writer_goes_on_when_it_ends(self):
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64")
        writer = self.start("load", self.db, "t", "-", "--input-format", "jsonl", "--commits",
                            "--rows-per-commit", "1", stdin=subprocess.PIPE, bufsize=0)
        writer.stdin.write(b'{"id":1}\n' + b"\n" * (3 << 20))
        writer.stdout.readline()
        waiting = self.start("flush", self.db, "--wait", "60s")
        writer.stdin.close()
        self.assertEqual(writer.wait(timeout=60), 0)
        self.assertEqual(waiting.wait(timeout=60), 0)

    def test_a_reader_that_is_killed_leaves_nothing_that_holds(self):
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64, pad utf8")
        rows = self.folder / "many.jsonl"
        with open(rows, "w", encoding="utf-8") as file:
            for key in range(100_000):
                file.write(f'{{"id":{key},"pad":"{key * 7919:040d}"}}\n')
        self.ok("load", self.db, "t", str(rows))
        self.ok("flush", self.db)
        reader = self.start("scan", self.db, "t", "--format", "csv")
        reader.stdout.readline()  # it has begun, and nobody reads on
        self.assertEqual(len(os.listdir(self.db / "leases")), 1)
        stats = self.ok("stats", self.db, "--json").document()
        self.assertIn(str(reader.pid), [r["holder"].split()[0] for r in stats["readers"]])
        self.ok("load", self.db, "t", str(rows))
        self.ok("compact", self.db)
        self.fails(4, str(reader.pid), "retire", self.db, "--keep", "0s")
        files = len(list(self.db.glob("data/*/*.parquet")))
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        self.ok("retire", self.db, "--keep", "0s")
        self.assertLess(len(list(self.db.glob("data/*/*.parquet"))), files)
        self.assertEqual(os.listdir(self.db / "leases"), [])

    def test_a_reader_goes_on_with_files_that_were_let_go_of(self):
        self.ok("create", self.db, "t", "--key", "id", "--schema", "id int64, pad utf8")
        rows = self.folder / "many.jsonl"
        with open(rows, "w", encoding="utf-8") as file:
            for key in range(200_000):
                file.write(f'{{"id":{key},"pad":"{key * 7919:040d}"}}\n')
        for _ in range(3):
            self.ok("load", self.db, "t", str(rows))
            self.ok("flush", self.db)
        reader = self.start("scan", self.db, "t", "--columns", "id", "--format", "csv")
        first = reader.stdout.readline()
        self.ok("delete", self.db, "t", "--where", "id = 5", "--yes")
        self.ok("compact", self.db)
        self.ok("retire", self.db)
        rest = reader.stdout.read().split()
        self.assertEqual(reader.wait(timeout=60), 0)
        self.assertEqual(1 + len(rest), 200_001, first)


if __name__ == "__main__":
    unittest.main()
