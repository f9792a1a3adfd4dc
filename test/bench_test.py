#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That `./run bench log` does not rot: a smoke run measures everything, bad conditions are named.

The figures of a smoke run mean nothing and are not judged here.
"""
import contextlib
import io
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import judge  # noqa: E402
import log_suite  # noqa: E402

BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
BINARY = BUILD / "bench" / "bench_log"
NOT_COUNTED = "contended atomics per commit"


def measured_by(*arguments):
    """The result of a smoke run, and what it showed."""
    shown = io.StringIO()
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, contextlib.redirect_stdout(shown):
        result = log_suite.run(BINARY, folder, arguments, quick=True)
    return result, shown.getvalue()


def flush(micros, **more):
    return {"round": 1, "case": "F", "operations": 1000, "seconds": micros / 1e3, "p50_us": micros,
            "p99_us": micros, "others": 0, **more}


def commits(operations, **more):
    return {"round": 1, "case": "varve N=8", "operations": operations, "seconds": 1, "others": 0,
            **more}


class SmokeRun(unittest.TestCase):
    def test_everything_is_measured(self):
        result, shown = measured_by()
        for measure in result["measures"]:
            with self.subTest(measure["name"]):
                absent = measure["name"].endswith(tuple(result["missing"]))
                if absent or measure["name"] == NOT_COUNTED:
                    self.assertEqual(measure["verdict"], "not measured")
                    self.assertTrue(measure["absent"], "nobody says why")
                else:
                    self.assertTrue(math.isfinite(measure["median"]))
        self.assertIn("a smoke run", shown)
        json.dumps(result)

    def test_a_missing_peer_is_no_win(self):
        result, shown = measured_by("--no-peers", "durable")
        against = [m for m in result["measures"] if " against " in m["name"]]
        self.assertEqual(len(against), 6)
        for measure in against:
            self.assertEqual(measure["verdict"], "not measured")
            self.assertIn("left out with --no-peers", measure["absent"])
        self.assertIn("left out with --no-peers", shown)


class Refusals(unittest.TestCase):
    def refused(self, *arguments):
        done = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def test_memory_is_no_disk(self):
        memory = pathlib.Path("/dev/shm")
        mounts = pathlib.Path("/proc/mounts").read_text().splitlines()
        if not any(line.split()[1:3] == [str(memory), "tmpfs"] for line in mounts):
            self.skipTest("no tmpfs here")
        with tempfile.TemporaryDirectory(dir=memory) as folder:
            self.assertIn("tmpfs", self.refused(folder))
            self.assertEqual(os.listdir(folder), [])

    def test_a_folder_in_use_is_left_alone(self):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            kept = pathlib.Path(folder) / "kept"
            kept.write_text("precious")
            self.assertIn("is not empty", self.refused(folder))
            self.assertEqual(kept.read_text(), "precious")

    def test_unknown_words_are_named(self):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            self.assertIn("no group nonsense", self.refused(folder, "nonsense"))
            self.assertIn("--nonsense", self.refused(folder, "--nonsense", "1"))


class Judgement(unittest.TestCase):
    def r(self, *lines, quick=False):
        return log_suite.LogSlices(list(lines), quick).r("varve N=8")

    def test_r_is_commits_per_flush_of_the_neighbours(self):
        r, dropped = self.r(flush(90), commits(40_000), flush(110))
        self.assertAlmostEqual(r[1], 4.0)
        self.assertEqual(dropped, 0)

    def test_a_slice_between_unlike_flushes_is_dropped(self):
        self.assertEqual(self.r(flush(100), commits(40_000), flush(126)), ({}, 1))
        self.assertEqual(self.r(flush(100), commits(40_000), flush(124))[1], 0)

    def test_a_slice_beside_busy_strangers_is_dropped(self):
        self.assertEqual(self.r(flush(100), commits(40_000, others=0.3), flush(100)), ({}, 1))
        self.assertEqual(self.r(flush(100, others=0.3), commits(40_000), flush(100)), ({}, 1))

    def test_the_warm_up_does_not_count(self):
        lines = [{**line, "round": 0} for line in (flush(100), commits(40_000), flush(100))]
        self.assertEqual(self.r(*lines), ({}, 0))

    def test_verdicts(self):
        def verdict(samples, at_most=False, **more):
            return judge.Measure("m", samples, 4, 6 if at_most else 3, at_most, **more).verdict
        self.assertEqual(verdict([4]), "target reached")
        self.assertEqual(verdict([3.5]), "floor reached")
        self.assertEqual(verdict([2]), "MISSED")
        self.assertEqual(verdict([4], at_most=True), "target reached")
        self.assertEqual(verdict([5], at_most=True), "floor reached")
        self.assertEqual(verdict([7], at_most=True), "MISSED")
        self.assertEqual(verdict([]), "not measured")
        self.assertEqual(verdict([4, 4], samples_min=3), "not measured")

    def test_too_few_calm_rounds_are_no_pass(self):
        measure = judge.Measure("m", [4, 4], 4, 3, samples_min=3)
        self.assertFalse(measure.met)
        self.assertTrue(judge.Measure("m", [], 4, 3, absent="no such peer").met)
        self.assertFalse(judge.Measure("m", [2], 4, 3).met)

    def test_a_floor_is_out_of_reach_only_where_the_least_misses_it_too(self):
        def measure(bare, at_most=False, **more):
            return judge.Measure("m", [7] if at_most else [2], 4, 6 if at_most else 3, at_most,
                                     bare=bare, **more)
        self.assertEqual(measure([2.9]).verdict, "out of reach here")
        self.assertEqual(measure([3.1]).verdict, "MISSED")
        self.assertEqual(measure([]).verdict, "MISSED")
        self.assertEqual(measure([6.1], at_most=True).verdict, "out of reach here")
        self.assertEqual(measure([5.9], at_most=True).verdict, "MISSED")
        self.assertEqual(judge.Measure("m", [2, 2, 2], 4, 3, bare=[2, 2],
                                           samples_min=3).verdict, "MISSED")
        self.assertTrue(measure([2.9]).met)
        self.assertIn("bare: 2.9", judge.row(measure([2.9])))


if __name__ == "__main__":
    if not BINARY.exists():
        print(f"{BINARY} was not built")
        sys.exit(77)
    unittest.main()
