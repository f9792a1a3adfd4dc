#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""That `./run bench log-damage` does not rot, and that it can see silence.

A quick run over every system: a peer that is not installed is skipped and named.
"""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import log_damage  # noqa: E402

BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
BINARY = BUILD / "bench" / "log_damage" / "bench_log_damage"
SEED = os.environ.get("VARVE_TEST_SEED", "5")


def sweep(*arguments):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        result = log_damage.run(BINARY, ["--seed", SEED, *arguments], quick=True)
    return result, shown.getvalue()


class QuickRun(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"replay with VARVE_TEST_SEED={SEED}", flush=True)
        cls.result, cls.shown = sweep()

    def test_every_case_has_one_outcome(self):
        kinds = {}
        for line in self.result["counts"]:
            kinds.setdefault(line["system"], []).append(line["damage"])
            self.assertEqual(line["cases"], sum(line[name] for name in log_damage.OUTCOMES))
        for system in self.result["systems"]:
            self.assertEqual(len(kinds[system["system"]]), 15)
        self.assertIn("each byte flipped", self.shown)

    def test_varve_is_never_silent_where_a_log_can_know(self):
        self.assertEqual(self.result["breaches"], [])

    def test_the_control_is_silent(self):
        total = log_damage.Result([*self.result["systems"], *self.result["counts"]]).total(
            log_damage.CONTROL)
        self.assertGreater(total["lost"], 0)
        self.assertGreater(total["wrong"], 0)
        self.assertGreater(total["last_gone"], 0)

    def test_the_same_seed_gives_the_same_counts(self):
        again, _ = sweep(log_damage.CONTROL, "varve::log")
        def of(result):
            return [line for line in result["counts"]
                    if line["system"] in (log_damage.CONTROL, "varve::log")]
        self.assertEqual(of(again), of(self.result))

    def test_a_missing_peer_is_named(self):
        for name, why in self.result["missing"].items():
            print(f"skipped: {name}: {why}")
            self.assertIn(f"{name:<26}not measured: {why}", self.shown)


class Breaches(unittest.TestCase):
    def breaches(self, system, damage, **counts):
        line = {"system": system, "damage": damage, "one_in": 1, "first": {},
                **dict.fromkeys(log_damage.OUTCOMES, 0), **counts}
        return log_damage.Result([line]).breaches()

    def test_silence_of_varve_is_one(self):
        self.assertEqual(len(self.breaches("varve::log", "cut at every length", lost=1)), 1)
        self.assertEqual(len(self.breaches("varve::log", "cut at every length", crashed=1)), 1)
        self.assertEqual(self.breaches("varve::log", "cut at every length", last_gone=1), [])

    def test_what_only_a_caller_knows_is_one_when_the_caller_knows(self):
        damage = "oldest files missing"
        self.assertEqual(self.breaches("varve::log", damage, wrong=1), [])
        self.assertEqual(len(self.breaches("varve::log, caller knows", damage, wrong=1)), 1)

    def test_a_log_of_varve_that_does_not_come_back_is_one(self):
        self.assertEqual(len(log_damage.Result([{"missing": "varve::log", "why": "."}]).breaches()),
                         1)
        self.assertEqual(log_damage.Result([{"missing": "RocksDB", "why": "."}]).breaches(), [])

    def test_a_peer_is_not_judged(self):
        self.assertEqual(self.breaches("RocksDB, defaults", "cut at every length", lost=9), [])

    def test_a_control_that_is_never_silent_is_one(self):
        settings = {"system": log_damage.CONTROL, "settings": ""}
        self.assertEqual(len(log_damage.Result([settings]).breaches()), 1)


class Refusals(unittest.TestCase):
    def refused(self, *arguments):
        done = subprocess.run([str(BINARY), *arguments], capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, 1)
        return done.stderr

    def test_a_folder_in_use_is_left_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            kept = pathlib.Path(folder) / "kept"
            kept.write_text("precious")
            self.assertIn("is not empty", self.refused(folder))
            self.assertEqual(kept.read_text(), "precious")

    def test_unknown_words_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIn("no system nonsense", self.refused(folder, "nonsense"))
            self.assertIn("--nonsense", self.refused(folder, "--nonsense"))


if __name__ == "__main__":
    if not BINARY.exists():
        print(f"{BINARY} was not built")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as empty:
        listed = subprocess.run([str(BINARY), empty, "--list"], capture_output=True, text=True,
                                check=True).stdout.splitlines()
    if sum("missing" in json.loads(line) for line in listed) == 3:
        print("no peer is installed: tools/setup.sh bench")
        sys.exit(77)
    unittest.main()
