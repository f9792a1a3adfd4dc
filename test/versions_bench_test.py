#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That `./run bench versions` does not rot: a smoke run measures every row of the table, and what
is not measured is named with the reason. tonbo is left out here: building it takes minutes.

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
import versions_suite  # noqa: E402

BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
BINARY = BUILD / "bench" / "versions" / "bench_versions"
GOALS = 22  # rows of the table with a goal


def measured_by(*arguments):
    """The result of a smoke run, and what it showed."""
    shown = io.StringIO()
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, contextlib.redirect_stdout(shown):
        result = versions_suite.run(BINARY, folder, arguments, quick=True)
    return result, shown.getvalue()


def case(name, operations, **more):
    return {"round": 1, "case": name, "operations": operations, "seconds": 1, "p50_us": 1,
            "others": 0, **more}


class SmokeRun(unittest.TestCase):
    def test_everything_is_measured(self):
        result, shown = measured_by()
        for measure in result["measures"]:
            with self.subTest(measure["name"]):
                if measure["absent"]:
                    self.assertEqual(measure["verdict"], "not measured")
                    self.assertTrue(any(measure["absent"].find(why) >= 0
                                        for why in result["missing"].values()))
                else:
                    self.assertTrue(math.isfinite(measure["median"]))
        self.assertEqual(sum(m["target"] is not None for m in result["measures"]), GOALS)
        self.assertIn("a smoke run", shown)
        json.dumps(result)

    def test_the_settings_of_everybody_are_printed(self):
        result, shown = measured_by("ingest")
        for system in versions_suite.RIVALS:
            with self.subTest(system):
                if system not in result["missing"]:
                    self.assertIn(f"  {system}: {result['settings'][system]}", shown)

    def test_a_missing_rival_is_no_win(self):
        result, _ = measured_by("--no-peers", "ingest", "transactions", "tonbo")
        against = [m for m in result["measures"] if "against" in m["name"]]
        self.assertGreater(len(against), 10)
        for measure in against:
            with self.subTest(measure["name"]):
                self.assertEqual(measure["verdict"], "not measured")
                self.assertIn("left out with --no-peers", measure["absent"])


class Refusals(unittest.TestCase):
    def test_unknown_words_and_folders_in_use_are_named(self):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            for words, expected in (((folder, "nonsense"), "no group nonsense"),
                                    ((folder, "--nonsense", "1"), "--nonsense"),
                                    ((str(pathlib.Path(folder).parent),), "is not empty")):
                done = subprocess.run([str(BINARY), *words], capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(expected, done.stderr)


class Judgement(unittest.TestCase):
    def against(self, lines, **more):
        return versions_suite.against(judge.Slices(lines), "m", "c, {}", ["a", "b"], 2, **more)

    def test_the_best_rival_is_the_one_that_counts(self):
        lines = [case("c, varve", 30), case("c, a", 10), case("c, b", 20)]
        measure = self.against(lines)
        self.assertEqual((measure.median, measure.note, measure.verdict), (1.5, "b", "MISSED"))

    def test_of_a_latency_the_lowest_is_the_best(self):
        lines = [case("c, varve", 1, p50_us=30), case("c, a", 1, p50_us=10),
                 case("c, b", 1, p50_us=20)]
        measure = self.against(lines, value=versions_suite.p50, at_most=True)
        self.assertEqual((measure.median, measure.note, measure.met), (3, "a", False))

    def test_rounds_beside_busy_strangers_are_dropped_and_counted(self):
        lines = [case("c, varve", 30), case("c, a", 10, others=0.3), case("c, a", 10, round=2),
                 case("c, varve", 20, round=2)]
        measure = self.against(lines)
        self.assertEqual((measure.samples, measure.dropped), ([2.0], 1))

    def test_a_goal_that_the_least_misses_too_is_out_of_reach(self):
        lines = [case("c, varve", 10), case("c, a", 10), case("x", 19), case("y", 15)]
        measure = self.against(lines, bare=["x", "y"])
        self.assertEqual((measure.bare, measure.verdict, measure.met),
                         ([1.9], "out of reach here", True))
        measure = self.against([*lines, case("x", 20, round=2), case("c, a", 10, round=2),
                                case("x", 20, round=3), case("c, a", 10, round=3)],
                               bare=["x", "y"])
        self.assertEqual((measure.verdict, measure.met), ("MISSED", False))

    def test_why_a_rival_is_absent_is_told(self):
        lines = [case("c, varve", 30), {"missing": "a", "why": "no library"}]
        measure = self.against(lines)
        self.assertEqual((measure.verdict, measure.absent), ("not measured", "no library"))


if __name__ == "__main__":
    if not BINARY.exists():
        print(f"{BINARY} was not built")
        sys.exit(77)
    unittest.main()
