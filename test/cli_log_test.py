#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The verbs of `varve log` as a user or script meets them: exit codes, acks, damage, kills.

usage: cli_log_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR. Kills come at
random; run one again with VARVE_TEST_SEED.
"""

import base64
import json
import os
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import unittest

import cli_test
from cli_test import VARVE, clean_environment

SEED = int(os.environ.get("VARVE_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = 8
SMALL_SEGMENTS = {"VARVE_LOG_SEGMENT_BYTES_MAX": "32768"}
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def numbers(first, last):
    return [str(i) for i in range(first, last + 1)]


def text(lines):
    return "".join(line + "\n" for line in lines).encode()


class LogCliTest(cli_test.CliTest):
    def setUp(self):
        super().setUp()
        self.log = self.folder / "my.log"

    def append(self, lines, *more, **settings):
        return self.ok("log", "append", self.log, *more, stdin=text(lines), **settings)

    def append_small(self, lines, *more):
        """In many segments."""
        return self.append(lines, *more, env=clean_environment(**SMALL_SEGMENTS))

    def acks(self, lines, *more):
        return self.append(lines, "--acks", *more).lines()

    def cat(self, *more, exit_code=0):
        return self.run_varve("log", "cat", self.log, *more, exit_code=exit_code).out.splitlines()

    def cat_json(self, *more):
        return self.ok("log", "cat", self.log, "--format", "json", *more).lines()

    def stat(self):
        return self.ok("log", "stat", self.log, "--json").document()

    def files(self):
        return [self.log / file["name"] for file in self.stat()["files"]]

    def contents(self):
        return {p.name: p.read_bytes() for p in self.log.iterdir()}

    def flip(self, path, offset):
        content = bytearray(path.read_bytes())
        content[offset] ^= 0x40
        path.write_bytes(content)

    def start_append(self, *more, stdin=subprocess.PIPE, **settings):
        process = subprocess.Popen([VARVE, "log", "append", self.log, "--acks", *more], stdin=stdin,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
                                   env=clean_environment(**settings))
        for stream in (process.stdout, process.stderr, process.stdin):
            if stream is not None:
                self.addCleanup(stream.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)  # a test that fails leaves nothing running
        return process

    def start_counting(self, *more):
        """An append whose stdin is the numbers from 1 on, without end."""
        count = subprocess.Popen(["seq", "1", "1000000000"], stdout=subprocess.PIPE,
                                 env=clean_environment())
        self.addCleanup(count.wait)
        self.addCleanup(count.kill)
        process = self.start_append(*more, stdin=count.stdout)
        count.stdout.close()
        return process

class AppendAndCatTest(LogCliTest):
    def test_each_line_is_a_record_and_comes_back(self):
        self.append(numbers(1, 100))
        self.append(numbers(101, 150))
        self.assertEqual(self.cat(), numbers(1, 150))

    def test_records_are_bytes(self):
        lines = b"\n\r\n\x00\xff\n" + "sm\u00f8rrebr\u00f8d".encode() + b"\n" + b"x" * 3_000_000
        self.ok("log", "append", self.log, stdin=lines + b"\nlast, without newline")
        done = subprocess.run([VARVE, "log", "cat", self.log], capture_output=True, check=True,
                              env=clean_environment())
        self.assertEqual(done.stdout, lines + b"\nlast, without newline\n")

    @unittest.skipUnless(os.environ.get("VARVE_LONG"), "takes 3 GB of disk: ./run test --long")
    def test_a_record_has_at_most_a_gib(self):
        giant = self.folder / "giant"
        giant.write_bytes(b"g" * (1 << 30))
        shell = 'exec "$1" log append "$2" < "$3"'
        self.run_varve(exit_code=0, prefix=("bash", "-c", shell, "-", VARVE, self.log, giant))
        with open(giant, "ab") as more:
            more.write(b"\n")
        with subprocess.Popen([VARVE, "log", "cat", self.log], stdout=subprocess.PIPE,
                              env=clean_environment()) as cat:
            self.assertEqual(subprocess.run(["cmp", "-", giant], stdin=cat.stdout,
                                            check=False).returncode, 0)
        self.assertEqual(self.stat()["units"], 1)
        giant.write_bytes(b"g" * ((1 << 30) + 1) + b"\n")
        done = self.run_varve(exit_code=1, prefix=("bash", "-c", shell, "-", VARVE, self.log,
                                                       giant))
        self.assertIn("longer than 1073741824 bytes", done.err)
        self.assertEqual(self.stat()["units"], 1)

    def test_a_log_at_its_cap_refuses_lines_and_says_why(self):
        cap = clean_environment(VARVE_LOG_LOG_BYTES_MAX="98304", **SMALL_SEGMENTS)
        done = self.run_varve("log", "append", self.log, "--acks", stdin=text(["x" * 9000] * 30),
                              env=cap, exit_code=7)
        total = done.lines()[-1]["total"]
        self.assertLess(total, 30)
        self.assertRegex(done.err, "log_bytes_max .98304 bytes.*truncate the log, or raise")
        self.assertIn(f"{total} lines were acknowledged", done.err)
        self.assertEqual(len(self.cat()), total)

    def test_a_line_that_waits_at_the_cap_keeps_no_ack_back(self):
        fits = 2  # lines that nearly fill a segment
        with open(self.write("lines", text(["x" * 20_000] * 10)), "rb") as lines:
            process = self.start_append(stdin=lines, VARVE_LOG_LOG_BYTES_MAX="131072",
                                        VARVE_LOG_QUEUE_WAIT_MS_MAX="3600000", **SMALL_SEGMENTS)
        for total in range(1, fits + 1):
            readable, _, _ = select.select([process.stdout], [], [], 60)
            self.assertTrue(readable, f"no ack of line {total}")
            self.assertEqual(json.loads(process.stdout.readline())["total"], total)
        self.assertIsNone(process.poll())
        self.assertEqual(select.select([process.stdout], [], [], 0)[0], [])

    def test_cat_keeps_no_writer_out(self):
        self.append(["x" * 1000] * 1000)
        cat = subprocess.Popen([VARVE, "log", "cat", self.log], stdout=subprocess.PIPE,
                               env=clean_environment())
        self.addCleanup(cat.wait)
        self.addCleanup(cat.stdout.close)
        self.assertEqual(cat.stdout.read(1), b"x")  # and now its pipe is full
        self.append(["y"])
        self.assertGreaterEqual(len(cat.stdout.read().splitlines()), 1000)

    def test_no_lines_are_no_records(self):
        self.append([])
        self.assertEqual(self.stat()["units"], 0)
        self.assertEqual(self.cat(), [])

    def test_acks_name_position_records_and_total(self):
        done = self.append(numbers(1, 17), "--acks", "--records-per-unit", "7")
        lsns = [ack["lsn"] for ack in done.lines()]
        self.assertEqual(done.out.splitlines(), [
            '{"lsn":%d,"records":7,"total":7}' % lsns[0],
            '{"lsn":%d,"records":7,"total":14}' % lsns[1],
            '{"lsn":%d,"records":3,"total":17}' % lsns[2]])
        units = {}
        for record in self.cat_json():
            units.setdefault(record["lsn"], []).append(record["record"])
        self.assertEqual(units, {lsns[0]: numbers(1, 7), lsns[1]: numbers(8, 14),
                                 lsns[2]: numbers(15, 17)})

    def test_a_hundred_thousand_acks(self):
        acks = self.acks(numbers(1, 100_000))
        self.assertEqual([ack["total"] for ack in acks], list(range(1, 100_001)))
        lsns = [ack["lsn"] for ack in acks]
        self.assertEqual(lsns, sorted(set(lsns)))
        self.assertEqual(self.cat(), numbers(1, 100_000))

    def test_acks_come_while_more_lines_are_awaited(self):
        for ack in ("durable", "written", "buffered"):
            with self.subTest(ack):
                process = self.start_append("--ack", ack, "--records-per-unit", "2")
                process.stdin.write(b"one\ntwo\nthree\n")
                self.assertIn(b'"records":2,"total":2', process.stdout.readline())
                process.stdin.write(b"four\n")
                self.assertIn(b'"records":2,"total":4', process.stdout.readline())
                process.stdin.close()
                self.assertEqual(process.wait(timeout=60), 0)

    def test_threads_keep_every_line_once(self):
        acks = self.acks(numbers(1, 20_000), "--threads", "4", "--records-per-unit", "3")
        self.assertEqual(sorted(int(line) for line in self.cat()), list(range(1, 20_001)))
        self.assertEqual([ack["total"] for ack in acks][-1], 20_000)
        units = {}
        for record in self.cat_json():
            units.setdefault(record["lsn"], []).append(record["record"])
        self.assertEqual({ack["lsn"]: ack["records"] for ack in acks},
                         {lsn: len(records) for lsn, records in units.items()})

    def test_every_sync_policy_and_ack_level_keeps_the_lines(self):
        lines = []
        for sync in ("group", "interval=5ms", "bytes=4096", "never"):
            for ack in ("durable", "written", "buffered"):
                more = [f"{sync} {ack} {i}" for i in range(100)]
                done = self.append(more, "--sync", sync, "--ack", ack, "--acks")
                self.assertEqual(done.lines()[-1]["total"], 100)
                lines += more
        self.assertEqual(self.cat(), lines)

    def test_every_sync_method_keeps_the_lines(self):
        for method in ("fdatasync", "fsync", "dsync", "auto"):
            self.append([method], "--sync-method", method)
        self.assertEqual(self.cat(), ["fdatasync", "fsync", "dsync", "auto"])

    def test_cat_from_a_position(self):
        lsns = [ack["lsn"] for ack in self.acks(numbers(1, 1000))]
        self.assertEqual(self.cat("--from", lsns[600]), numbers(601, 1000))
        self.assertEqual(self.cat("--from", lsns[600] + 1), numbers(602, 1000))
        self.assertEqual(self.cat("--from", "1"), numbers(1, 1000))
        self.assertEqual(self.cat("--from", "1000000000"), [])

    def test_json_shows_what_is_no_text(self):
        self.ok("log", "append", self.log, stdin=b'\xff\xfe\nplain "text"\n\n')
        first, second, third = self.cat_json()
        self.assertEqual(base64.b64decode(first["base64"]), b"\xff\xfe")
        self.assertNotIn("record", first)
        self.assertEqual((second["record"], second["kind"], second["index"]),
                         ('plain "text"', "data", 0))
        self.assertEqual(third["record"], "")
        self.assertEqual(self.ok("log", "cat", self.log, "--json").lines()[1], second)

    def test_the_summary_leaves_stdout_to_the_acks(self):
        self.assertRegex(self.append(["a"]).out, r"\Aappended 1 records in 1 units")
        self.assertRegex(self.append(["a"], "--acks").err, r"\Aappended 1 records in 1 units")
        document = self.append(["a"], "--json").document()
        self.assertEqual((document["records"], document["units"]), (1, 1))

    def test_the_end_that_append_tells_is_where_stat_verify_and_rotate_see_it(self):
        document = self.append(["a", "b"], "--json").document()
        self.assertGreater(document["end"], document["last_lsn"])
        self.assertEqual(self.stat()["last_lsn"], document["end"])
        verified = self.ok("log", "verify", self.log, "--json").document()
        self.assertEqual(verified["last_lsn"], document["end"])
        self.assertEqual(self.append([], "--json").document()["end"], document["end"])
        self.assertIn(f"the log ends at LSN {document['end']}\n", self.append([]).out)

    def test_metrics_go_to_stderr(self):
        self.assertRegex(self.append(["a"], "--metrics").err, r"(?m)^varve_log_\w+ \d+")

    def test_compression_comes_back_and_takes_less(self):
        lines = ["the same again and again " * 40] * 2000
        sizes = {}
        for codec in ("none", "lz4", "zstd"):
            self.log = self.folder / codec
            self.append(lines, "--compress", codec)
            self.assertEqual(self.cat(), lines)
            sizes[codec] = self.stat()["bytes"]
        self.assertLess(sizes["lz4"], sizes["none"] / 2)
        self.assertLess(sizes["zstd"], sizes["none"] / 2)


class KilledTest(LogCliTest):
    def kill_after(self, acks, *more):
        """Kills an append of 1, 2, 3, ... after so many acks; gives the total acknowledged."""
        process = self.start_counting(*more)
        output = b""
        while output.count(b"\n") < acks:
            piece = os.read(process.stdout.fileno(), 1 << 16)
            self.assertTrue(piece, "append ended by itself")
            output += piece
        process.kill()
        output += process.stdout.read()
        process.wait()
        whole = output[:output.rindex(b"\n")]
        return json.loads(whole.splitlines()[-1])["total"]

    def test_a_kill_loses_no_acknowledged_line(self):
        chance = random.Random(SEED)
        for kill in range(KILLS):
            per_unit = (1, 7)[kill % 2]
            self.log = self.folder / f"{kill}.log"
            total = self.kill_after(chance.randint(1, 60_000), "--records-per-unit", str(per_unit))
            found = self.cat()
            with self.subTest(seed=SEED, kill=kill):
                self.assertGreaterEqual(len(found), total)
                self.assertEqual(found, numbers(1, len(found)))
                self.assertEqual(len(found) % per_unit, 0)
                self.append(["after"])
                self.assertEqual(self.cat(), found + ["after"])

    def test_a_kill_of_threads_loses_no_acknowledged_line(self):
        total = self.kill_after(5000, "--threads", "4", "--ack", "written")
        found = self.cat()
        self.assertGreaterEqual(len(found), total)
        self.assertEqual(len(set(found)), len(found))

    def test_a_terminated_append_keeps_what_it_acknowledged(self):
        process = self.start_counting()
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().splitlines()
        self.assertEqual(process.wait(timeout=60), 130)
        total = json.loads(rest[-1])["total"] if rest else 1
        self.assertIn(f"{total} lines were acknowledged".encode(), process.stderr.read())
        self.assertEqual(self.cat(), numbers(1, total))

    def test_a_reader_of_acks_that_goes_away_leaves_the_append_running(self):
        process = self.start_append()
        process.stdin.write(b"1\n")
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(text(numbers(2, 5000)))
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(self.cat(), numbers(1, 5000))

    def test_a_reader_of_cat_that_goes_away_is_no_error(self):
        self.append(numbers(1, 100_000))
        done = subprocess.run(["bash", "-o", "pipefail", "-c", f"{VARVE} log cat {self.log} | "
                               "head -1"], capture_output=True, check=False,
                              env=clean_environment())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"1\n", b""))


class TailTest(LogCliTest):
    def start_tail(self, *more):
        process = subprocess.Popen([VARVE, "log", "tail", self.log, *(str(a) for a in more)],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=clean_environment())
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_tail_prints_what_another_process_appends(self):
        writer = self.start_append()
        writer.stdin.write(b"one\n")
        writer.stdout.readline()
        tail = self.start_tail("--limit", 4)
        self.assertEqual(tail.stdout.readline(), b"one\n")
        for line in (b"two\n", b"three\n"):
            writer.stdin.write(line)
            self.assertEqual(tail.stdout.readline(), line)
        writer.stdin.close()
        self.assertEqual(writer.wait(timeout=60), 0)
        self.append(["four", "five"])
        self.assertEqual(tail.stdout.readline(), b"four\n")
        self.assertEqual(tail.wait(timeout=60), 0)
        self.assertEqual(tail.stderr.read(), b"")

    def test_tail_gives_every_line_once_across_segments(self):
        self.append_small(numbers(1, 10))
        tail = self.start_tail("--limit", 20_000, "--durable")
        self.append_small(numbers(11, 10_000))
        self.append_small(numbers(10_001, 20_000), "--records-per-unit", "7")
        self.assertEqual(tail.stdout.read(), text(numbers(1, 20_000)))

    def test_tail_begins_and_ends_where_it_is_told(self):
        lsns = [ack["lsn"] for ack in self.acks(numbers(1, 100))]
        part = self.ok("log", "tail", self.log, "--from", lsns[10], "--until", lsns[20], "--json")
        self.assertEqual([r["record"] for r in part.lines()], numbers(11, 20))
        self.assertEqual([r["lsn"] for r in part.lines()], lsns[10:20])
        self.append(["a", "b", "c"], "--records-per-unit", "3")
        cut = self.ok("log", "tail", self.log, "--limit", "102").out.splitlines()
        self.assertEqual(cut, numbers(1, 100) + ["a", "b"])

    def test_tail_stops_before_a_unit_at_its_end_in_a_frame_of_its_own(self):
        first, second = (self.append([line], "--acks").lines()[0]["lsn"] for line in ("a", "b"))
        self.assertGreater(second - first, 1000)
        self.assertEqual(self.ok("log", "tail", self.log, "--until", second).out, "a\n")
        self.assertEqual(self.ok("log", "tail", self.log, "--until",
                                 self.stat()["last_lsn"]).out, "a\nb\n")

    def test_tail_from_the_end_leaves_out_what_is_there(self):
        self.append(["before"])
        tail = self.start_tail("--from", "end", "--limit", 1)
        for more in range(1000):
            self.append([f"after {more}"])
            if select.select([tail.stdout], [], [], 0)[0]:
                break
        self.assertRegex(tail.stdout.read(), rb"\Aafter \d+\n\Z")
        self.assertEqual(tail.wait(timeout=60), 0)

    def test_cat_and_tail_from_beyond_the_end_print_nothing_and_say_so(self):
        self.append(["one"])
        done = self.ok("log", "cat", self.log, "--from", "99999999999")
        self.assertEqual(done.out, "")
        self.assertRegex(done.err, "LSN 99999999999 lies beyond the end of the log")
        tail = self.start_tail("--from", "99999999999")
        self.assertIn(b"LSN 99999999999 lies beyond the end of the log", tail.stderr.readline())
        tail.send_signal(signal.SIGTERM)
        self.assertEqual(tail.wait(timeout=60), 130)
        self.assertEqual(tail.stdout.read(), b"")

    def test_an_interrupt_ends_a_tail(self):
        self.append(["one"])
        tail = self.start_tail()
        tail.stdout.readline()
        tail.send_signal(signal.SIGTERM)
        self.assertEqual(tail.wait(timeout=60), 130)

    def test_tail_needs_a_log_and_its_key(self):
        self.fails(3, ".", "log", "tail", "nowhere")
        self.append(["a"], "--key-file", self.write("key", KEY))
        self.fails(8, "--key-file", "log", "tail", self.log)
        self.assertEqual(self.ok("log", "tail", self.log, "--key-file", "key", "--limit", 1).out,
                         "a\n")


class UpkeepTest(LogCliTest):
    def test_stat_has_the_promised_fields(self):
        lsns = [ack["lsn"] for ack in self.acks(numbers(1, 50), "--records-per-unit", "5")]
        stat = self.stat()
        self.assertLessEqual({"segments", "bytes", "first_lsn", "last_lsn", "durable_lsn",
                              "records", "units", "torn_bytes"}, set(stat))
        self.assertEqual((stat["records"], stat["units"], stat["torn_bytes"]), (50, 10, 0))
        self.assertLess(stat["first_lsn"], lsns[0])
        self.assertGreater(stat["last_lsn"], lsns[-1])
        self.assertEqual(stat["durable_lsn"], stat["last_lsn"])
        self.assertEqual(stat["segments"], len(stat["files"]))
        self.assertEqual(stat["bytes"], sum(f.stat().st_size for f in self.files()))
        self.assertIn("50 records", self.ok("log", "stat", self.log).out)

    def test_stat_does_not_call_durable_what_was_only_written(self):
        for ack in ("durable", "written"):
            process = self.start_append("--sync", "never", "--ack", ack)
            process.stdin.write(b"%s\n" % ack.encode())
            lsn = json.loads(process.stdout.readline())["lsn"]
            process.kill()
            process.wait()
        stat = self.stat()
        self.assertGreater(stat["last_lsn"], lsn)
        self.assertLessEqual(stat["durable_lsn"], lsn)
        self.assertEqual(self.cat(), ["durable", "written"])

    def test_truncate_without_yes_changes_nothing_and_needs_no_lock_for_itself(self):
        self.append_small(numbers(1, 5000))
        before = self.contents()
        arguments = ("log", "truncate", self.log, "--before", self.stat()["last_lsn"], "--json")
        shown = self.ok(*arguments).document()
        self.assertIsNone(shown["held_at"])
        self.assertEqual(self.contents(), before)

    def test_truncate_removes_what_its_dry_run_said(self):
        acks = [ack["lsn"] for ack in self.append_small(numbers(1, 20_000), "--acks").lines()]
        before = self.stat()
        self.assertGreater(before["segments"], 5)
        fence = acks[12_000]
        arguments = ("log", "truncate", self.log, "--before", fence, "--json")
        shown = self.ok(*arguments, "--dry-run").document()
        self.assertEqual(self.stat()["first_lsn"], before["first_lsn"])
        self.assertEqual(self.ok(*arguments).document(), shown)  # without --yes
        self.assertEqual(self.ok(*arguments, "--yes", "--dry-run").document(), shown)
        self.assertEqual(self.cat(), numbers(1, 20_000))
        done = self.ok(*arguments, "--yes").document()
        self.assertEqual(done | {"dry_run": True}, shown)
        self.assertGreater(done["segments"], 2)
        after = self.stat()
        self.assertEqual(after["first_lsn"], done["first_lsn"])
        self.assertLessEqual(after["first_lsn"], fence)
        self.assertLess(after["segments"], before["segments"])
        self.assertEqual(self.cat("--from", fence), numbers(12_001, 20_000))
        self.fails(3, "was truncated", "log", "cat", self.log, "--from", acks[0])
        self.ok("log", "verify", self.log)

    def test_truncate_without_yes_says_so(self):
        self.append_small(numbers(1, 5000))
        arguments = ("log", "truncate", self.log, "--before", self.stat()["last_lsn"])
        self.assertIn("add --yes", self.ok(*arguments).out)
        self.assertNotIn("add --yes", self.ok(*arguments, "--yes").out)
        self.fails(2, "is durable", "log", "truncate", self.log, "--before", "1000000000", "--yes")

    def test_rotate_starts_a_segment(self):
        self.append(["a"])
        before = self.files()
        self.ok("log", "rotate", self.log, "--json")
        self.append(["b"])
        self.assertGreater(len(self.files()), len(before))
        self.assertEqual(self.cat(), ["a", "b"])

    def test_looking_changes_nothing_and_needs_no_right_to_write(self):
        self.append_small(numbers(1, 3000))
        prefix = cli_test.StorageTest.as_nobody(self)
        cli_test.StorageTest.lock_down(self, self.log)
        self.addCleanup(subprocess.run, ["chmod", "-R", "u+w", str(self.log)], check=False)
        before = self.contents()
        for verb in ("cat", "verify", "stat"):
            self.ok("log", verb, self.log, prefix=prefix)
        for mode in ("tolerate-tail", "point-in-time", "salvage"):
            self.ok("log", "cat", self.log, "--recovery", mode, prefix=prefix)
        self.ok("log", "truncate", self.log, "--before", "1", prefix=prefix)
        self.assertEqual(self.contents(), before)
        self.fails(8, ".", "log", "append", self.log, prefix=prefix, stdin=b"a\n")
        self.fails(8, ".", "log", "rotate", self.log, prefix=prefix)


class DamagedTest(LogCliTest):
    def damage_the_middle(self):
        """Flips a byte of the third segment of many; gives its file and offset."""
        self.append_small(numbers(1, 10_000))
        damaged = self.files()[2]
        offset = damaged.stat().st_size // 2
        self.flip(damaged, offset)
        return damaged, offset

    def test_verify_names_file_and_offset(self):
        self.append(numbers(1, 100))
        self.assertRegex(self.ok("log", "verify", self.log).out, r"\Asound: ")
        self.log = self.folder / "damaged.log"
        damaged, offset = self.damage_the_middle()
        done = self.run_varve("log", "verify", self.log, exit_code=6)
        named = re.search(rf"^{re.escape(str(damaged))}: offset (\d+): ", done.out, re.MULTILINE)
        self.assertIsNotNone(named, done.out)
        self.assertLessEqual(int(named[1]), offset)
        found = self.run_varve("log", "verify", self.log, "--json", exit_code=6).document()
        self.assertFalse(found["sound"])
        self.assertEqual((found["damages"][0]["file"], found["damages"][0]["offset"]),
                         (str(damaged), int(named[1])))
        self.assertRegex(self.run_varve("log", "stat", self.log, exit_code=6).err,
                         re.escape(damaged.name))

    def test_strict_stops_at_damage(self):
        damaged, _ = self.damage_the_middle()
        done = self.fails(6, rf"{re.escape(damaged.name)}, offset \d+: ", "log", "cat", self.log)
        found = done.out.splitlines()
        self.assertEqual(found, numbers(1, len(found)))
        self.assertLess(0, len(found))
        self.assertLess(len(found), 10_000)
        for arguments in (("rotate",), ("truncate", "--before", "1")):
            self.fails(6, damaged.name, "log", arguments[0], self.log, *arguments[1:])
        self.fails(6, damaged.name, "log", "append", self.log, stdin=b"a\n")

    def test_other_modes_go_on_and_say_what_they_went_past(self):
        damaged, _ = self.damage_the_middle()
        before = self.contents()
        self.fails(6, damaged.name, "log", "cat", self.log, "--recovery", "tolerate-tail")
        prefix = self.ok("log", "cat", self.log, "--recovery", "point-in-time")
        found = prefix.out.splitlines()
        self.assertEqual(found, numbers(1, len(found)))
        self.assertRegex(prefix.err, rf"up to its first damage[^$]*{re.escape(damaged.name)}")
        salvaged = self.ok("log", "cat", self.log, "--recovery", "salvage")
        lines = salvaged.out.splitlines()
        self.assertEqual(lines[:len(found)], found)
        self.assertEqual(lines[-1], "10000")
        self.assertEqual(lines, sorted(set(lines), key=int))
        self.assertLess(len(lines), 10_000)
        self.assertRegex(salvaged.err, rf"left out[^$]*{re.escape(damaged.name)}: offset \d+")
        self.assertEqual(self.contents(), before)

    def test_a_missing_segment_is_damage(self):
        self.append_small(numbers(1, 10_000))
        self.files()[2].unlink()
        self.fails(6, ".", "log", "cat", self.log)
        self.run_varve("log", "verify", self.log, exit_code=6)


class KeyTest(LogCliTest):
    def append_secret(self, *more):
        key = self.write("key", KEY)
        self.append(["a canary sings 4711"] * 50, "--key-file", key, *more)
        return key

    def test_an_encrypted_log_holds_no_plain_text(self):
        key = self.append_secret()
        self.assertEqual(self.cat("--key-file", key), ["a canary sings 4711"] * 50)
        for name, content in self.contents().items():
            self.assertNotIn(b"canary", content, name)
        self.log = self.folder / "plain.log"
        self.append(["a canary sings 4711"])  # the search finds what is there
        self.assertTrue(any(b"canary" in content for content in self.contents().values()))

    def test_compressed_and_encrypted(self):
        key = self.append_secret("--compress", "zstd", "--records-per-unit", "10")
        self.assertEqual(self.cat("--key-file", key), ["a canary sings 4711"] * 50)

    def test_a_missing_or_wrong_key_is_a_matter_of_credentials(self):
        self.append_secret()
        other = self.write("other", OTHER_KEY)
        self.fails(8, "--key-file", "log", "cat", self.log)
        self.fails(8, "--key-file", "log", "append", self.log, stdin=b"a\n")
        self.fails(8, "has no key named", "log", "cat", self.log, "--key-file", other)
        document = json.loads(self.run_varve("log", "cat", self.log, "--json").err)
        self.assertEqual((document["error"]["reason"], document["error"]["exit"]),
                         ("MissingKey", 8))
        self.log = self.folder / "named.log"
        self.append(["a"], "--key-file", self.write("mine", "mine " + KEY.hex()))
        self.fails(8, ".", "log", "cat", self.log, "--key-file",
                   self.write("theirs", "mine " + OTHER_KEY.hex()))

    def test_verify_and_stat_need_no_key(self):
        key = self.append_secret()
        self.assertEqual(self.stat()["records"], 50)
        self.ok("log", "verify", self.log)
        self.ok("log", "verify", self.log, "--key-file", key)
        self.fails(8, ".", "log", "verify", self.log, "--key-file",
                   self.write("other", OTHER_KEY))

    def test_keys_rotate(self):
        self.append(["old"], "--key-file", self.write("old", KEY.hex() + "\n"))
        both = self.write("both", f"new {OTHER_KEY.hex()}\n{KEY.hex()}\n")
        self.append(["new"], "--key-file", both)
        self.assertEqual(self.cat("--key-file", both), ["old", "new"])
        self.fails(8, ".", "log", "cat", self.log, "--key-file", "old")
        self.ok("log", "truncate", self.log, "--before", self.stat()["last_lsn"], "--yes",
                "--key-file", both)

    def test_a_lost_key_says_how_to_read_on_and_so_it_can_be_read(self):
        self.append(["old"], "--key-file", self.write("old", KEY.hex() + "\n"))
        both = self.write("both", f"{OTHER_KEY.hex()}\n{KEY.hex()}\n")
        self.append(["new"], "--key-file", both)
        left = ("--key-file", self.write("left", OTHER_KEY.hex()))
        for verb in (("cat",), ("tail",), *(("cat", "--recovery", mode) for mode in
                                            ("tolerate-tail", "point-in-time", "salvage"))):
            self.fails(8, "no key named .*varve log cat --from LSN .varve log stat --json tells",
                       "log", verb[0], self.log, *verb[1:], *left)
        last = self.stat()["files"][-1]["first_lsn"]
        self.assertEqual(self.cat("--from", last, *left), ["new"])
        self.assertEqual(self.cat("--from", last, "--recovery", "salvage", *left), ["new"])

    def test_files_that_hold_no_key(self):
        for name, content in (("short", "abc"), ("empty", ""), ("long", KEY + b"\n"),
                              ("digits", KEY.hex() + "0"), ("text", KEY.hex()[:32])):
            self.fails(2, "--key-file", "log", "append", self.log, "--key-file",
                       self.write(name, content), stdin=b"a\n")
        self.fails(3, "nowhere", "log", "append", self.log, "--key-file", "nowhere", stdin=b"a\n")
        self.assertFalse(self.log.exists())


class ExitCodeTest(LogCliTest):
    def test_help_has_an_example(self):
        for verb in ("append", "cat", "tail", "verify", "stat", "truncate", "rotate"):
            done = self.ok("log", verb, "--help").out
            self.assertRegex(done, rf"Example:\n  .*varve log {verb} ")
            self.assertIn("--json", done)
            self.assertEqual(self.ok("help", "log", verb).out, done)

    def test_wrong_usage_is_exit_2(self):
        self.append(["a"])
        for arguments in ((), ("fly",), ("cat",), ("cat", self.log, "--format", "xml"),
                          ("cat", self.log, "--from", "here"),
                          ("cat", self.log, "--recovery", "maybe"),
                          ("append", self.log, "--sync", "sometimes"),
                          ("append", self.log, "--sync", "interval=50"),
                          ("append", self.log, "--sync-method", "prayer"),
                          ("append", self.log, "--ack", "maybe"),
                          ("append", self.log, "--threads", "0"),
                          ("append", self.log, "--threads", "1000"),
                          ("append", self.log, "--records-per-unit", "0"),
                          ("append", self.log, "--compress", "gzip"),
                          ("append", self.log, "--key-file", ""),
                          ("append", ""),
                          ("truncate", self.log),
                          ("truncate", self.log, "--before", "-1")):
            with self.subTest(arguments):
                self.fails(2, ".", "log", *arguments)

    def test_a_verb_that_is_none_is_named_beside_those_there_are(self):
        verbs = "append, cat, tail, verify, stat, truncate, rotate"
        self.fails(2, f'no verb "appendx"; varve log has {verbs}$', "log", "appendx")
        self.fails(2, f'no verb "appendx"; varve log has {verbs}$', "log", "--loud", "appendx", "d")
        self.fails(2, f"a verb is required; varve log has {verbs}$", "log")
        self.fails(2, 'no verb "foo"; varve has create, load, .*, log$', "foo")
        self.fails(2, "a verb is required; varve has create, load, .*, log$")

    def test_wrong_usage_points_to_the_help_of_the_verb(self):
        self.fails(2, "varve log stat does not take --key-file; see varve log stat --help$",
                   "log", "stat", "--key-file", "k", self.log)
        self.fails(2, "does not take more; see varve log cat --help$", "log", "cat", self.log,
                   "more")
        self.fails(2, "DIR is required; see varve log append --help$", "log", "append")
        self.fails(2, "see varve log tail --help$", "log", "tail", self.log, "--limit")
        self.fails(2, "varve does not take --loud before the verb; see varve stats --help$",
                   "--loud", "stats", self.db)

    def test_environment(self):
        for name, value in (("VARVE_LOG_SYNC_POLICY", "sometimes"), ("VARVE_LOG_WINGS", "2")):
            self.fails(2, name, "log", "stat", self.log, env=clean_environment(**{name: value}))
            self.fails(2, name, "tables", self.db, env=clean_environment(**{name: value}))
        self.append(["plain " * 4000], env=clean_environment(VARVE_LOG_COMPRESSION="zstd"))
        self.assertNotIn(b"plain plain", b"".join(self.contents().values()))
        self.append(["plain " * 4000], "--compress", "none",
                    env=clean_environment(VARVE_LOG_COMPRESSION="zstd"))
        self.assertIn(b"plain plain", b"".join(self.contents().values()))

    def test_flag_and_environment_take_the_same_words_for_syncing_every_group(self):
        for word in ("group", "every_group"):
            self.append(["a"], "--sync", word)
            self.append(["a"], env=clean_environment(VARVE_LOG_SYNC_POLICY=word))

    def test_what_is_not_there_is_exit_3(self):
        (self.folder / "empty").mkdir()
        file = self.write("file", "x")
        for path, message in (("nowhere", "there is no log in nowhere; make one with: varve log"),
                              ("empty", "there is no log in empty; make one with: varve log"),
                              (file, "is a file")):
            for verb in (("cat",), ("cat", "--from", "5"), ("cat", "--recovery", "salvage"),
                         ("tail",), ("verify",), ("stat",), ("rotate",),
                         ("truncate", "--before", "1"), ("truncate", "--before", "1", "--yes")):
                with self.subTest(path=path, verb=verb):
                    self.fails(3, message, "log", verb[0], path, *verb[1:])
        self.fails(3, "is a file", "log", "append", file, stdin=b"a\n")
        self.assertFalse((self.folder / "nowhere").exists())
        self.assertEqual(list((self.folder / "empty").iterdir()), [])

    def test_a_log_that_is_open_elsewhere_says_by_whom(self):
        process = self.start_append()
        process.stdin.write(b"1\n")
        process.stdout.readline()
        self.fails(4, str(process.pid), "log", "append", self.log, stdin=b"2\n")
        self.fails(4, str(process.pid), "log", "rotate", self.log)
        self.assertEqual(self.stat()["records"], 1)
        self.assertEqual(self.cat(), ["1"])
        self.fails(4, str(process.pid), "log", "cat", self.log, "--recovery", "salvage")
        self.ok("log", "verify", self.log)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)

    def test_a_log_that_is_written_to_verifies_as_sound(self):
        process = self.start_counting("--records-per-unit", "100")
        process.stdout.readline()
        reader = subprocess.Popen(["tail", "-1"], stdin=process.stdout, stdout=subprocess.PIPE)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        for _ in range(10):
            self.ok("log", "verify", self.log)
        process.kill()

    def test_the_log_of_a_database_is_the_database_s(self):
        self.load_orders()
        for path in (self.db, self.db / "log"):
            self.fails(2, "database", "log", "append", path, stdin=b"a\n")
            self.fails(2, "database", "log", "truncate", path, "--before", "1", "--yes")
        self.ok("log", "verify", self.db / "log")
        self.ok("log", "cat", self.db / "log", "--format", "json")

    def test_a_full_disk(self):
        if shutil.which("mount") is None:
            self.skipTest("mount is not installed")
        self.log = cli_test.StorageTest.mount_small_disk(self) / "my.log"
        done = self.run_varve("log", "append", self.log, "--acks", exit_code=7,
                              stdin=text(numbers(1, 20_000)), prefix=(
                                  "bash", "-c", 'yes "$(printf %01000d 7)" | exec "$@"', "-"))
        total = done.lines()[-1]["total"]
        self.assertIn("No space left", done.err)
        self.assertIn(f"{total} lines were acknowledged", done.err)
        self.assertGreaterEqual(len(self.cat()), total)

    def test_a_limit_on_the_size_of_files_is_an_error_like_a_full_disk(self):
        done = self.run_varve("log", "append", self.log, exit_code=7, stdin=text(numbers(1, 9)),
                              prefix=("bash", "-c", 'ulimit -f 64; exec "$@"', "-"))
        self.assertIn("File too large", done.err)

    def test_acks_that_cannot_be_written_are_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([VARVE, "log", "append", self.log, "--acks"], input=b"1\n2\n",
                                  stdout=full, check=False, stderr=subprocess.PIPE,
                                  env=clean_environment())
        self.assertEqual(done.returncode, 7)
        self.assertIn(b"No space left", done.stderr)

    def test_buckets_are_not_supported(self):
        self.fails(9, "S3", "log", "append", "s3://b/p", stdin=b"a\n")
        self.fails(9, "S3", "log", "cat", "s3://b/p")


if __name__ == "__main__":
    print(f"VARVE_TEST_SEED={SEED}")
    program = unittest.main(exit=False)
    for test, reason in program.result.skipped:
        print(f"skipped: {test.id()}: {reason}")
    sys.exit(0 if program.result.wasSuccessful() else 1)
