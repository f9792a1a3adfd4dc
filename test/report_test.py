#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages of `varve report` in a real browser: what is drawn, and that nothing leaves the page.

usage: report_test.py [UNITTEST-ARGUMENT...]; the build is that of VARVE_BUILD_DIR. Without Chromium
it ends with 77. With VARVE_SCREENSHOTS=FOLDER it leaves pictures of the pages there.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import browser

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
VARVE = BUILD / "varve"
PICTURES = os.environ.pop("VARVE_SCREENSHOTS", None)

# Each bar of a run: its id, where it is drawn, its color.
BARS = """[...document.querySelectorAll('g.run')].map(run => {
  const bar = run.querySelector('rect.bar'), box = bar.getBoundingClientRect();
  return {id: +run.dataset.run, x: box.left, y: box.top, width: box.width, height: box.height,
          fill: getComputedStyle(bar).fill, hidden: run.classList.contains('hidden')};
})"""
DATA = "JSON.parse(document.getElementById('varve-report').textContent)"
# Ends an element with and without the ">", and begins a comment that would swallow the true end.
HOSTILE = ("</script ></script><!--<script><script>document.title='owned'</script>"
           "<img src=x onerror=\"owned()\">'&")


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = browser.Browser(browser.find())
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="varve-report-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.db = self.folder / "shop.varve"
        self.page = self.folder / "page.html"

    def varve(self, *arguments, stdin=None, exit_code=0, **environment):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("VARVE_")}
        done = subprocess.run([str(VARVE), *map(str, arguments)], input=stdin, cwd=self.folder,
                              capture_output=True, check=False, timeout=300,
                              env=clean | environment)
        self.assertEqual(done.returncode, exit_code, done.stderr.decode())
        return done.stdout.decode()

    def load(self, table, lines, *more, **environment):
        self.varve("load", self.db, table, "-", "--input-format", "csv", "--create", *more,
                   stdin="\n".join(lines).encode(), **environment)

    def show(self, *more, picture=None, **how):
        """Makes the page, loads it, and checks what is true of every page."""
        if not self.page.exists():
            self.varve("report", self.db, "-o", self.page, *more)
        self.browser.load(self.page, **how)
        self.assertEqual(self.browser.requests(), [])
        self.assertEqual(self.browser.complaints(), [])
        if PICTURES and picture:
            self.browser.screenshot(pathlib.Path(PICTURES) / f"{picture}.png")

    def data(self):
        return self.browser.evaluate(DATA)

    def bars(self):
        return {bar["id"]: bar for bar in self.browser.evaluate(BARS)}

    def load_many_runs(self):
        """Some 200 runs of a table: keys that ascend, then keys from anywhere."""
        order = list(range(8000)) + random.Random(1).sample(range(8000), 8000)
        lines = ["id,text"] + [f"{key},{'x' * 8000}" for key in order]
        self.load("events", lines, "--key", "id", "--rows-per-commit", "16",
                  VARVE_MEMTABLE_BYTES=str(1 << 20))
        self.varve("flush", self.db)


class DrawingTest(ReportTest):
    def test_an_empty_database_says_so(self):
        self.varve("create", self.db, "t", "--key", "id", "--schema", "id int64")
        self.varve("drop", self.db, "t", "--yes")
        self.show(picture="empty")
        self.assertEqual(self.bars(), {})
        self.assertIn("No tables", self.browser.evaluate("document.body.innerText"))
        self.show(picture="empty-dark", dark=True)

    def test_a_table_without_files_says_where_its_rows_are(self):
        self.load("orders", ["id,name", "1,a"], "--key", "id")
        self.show(picture="memory")
        text = self.browser.evaluate("document.body.innerText")
        self.assertIn("No files yet", text)
        self.assertIn("1 row in memory", text)

    def test_each_run_is_a_bar_at_its_keys(self):
        for first in (200, 0):  # too few for a compaction
            self.load("orders", ["id,name"] + [f"{first + i},n" for i in range(100)], "--key", "id")
            self.varve("flush", self.db)
        self.load("orders", ["id,name"] + [f"{i * 3},n" for i in range(100)], "--key", "id")
        self.varve("flush", self.db)
        self.show(picture="one")
        runs = {run["first_key"]: run for run in self.data()["tables"][0]["runs"]
                if run["rows"] == 100 and run["lane"] == 0}
        bars = self.bars()
        self.assertEqual(len(bars), 3)
        for bar in bars.values():
            self.assertGreater(bar["width"], 1)
            self.assertGreater(bar["height"], 3)
        low, high = (bars[runs[key]["id"]] for key in ("0", "200"))
        self.assertLess(low["x"] + low["width"], high["x"])
        across = next(bar for bar in bars.values() if bar["y"] != low["y"])
        self.assertAlmostEqual(across["x"], low["x"], delta=2)
        self.assertGreater(across["width"], low["width"] * 1.8)

    def test_many_runs_are_all_there_in_both_schemes(self):
        self.load_many_runs()
        self.varve("tag", self.db, "before")
        self.show(picture="many")
        runs = self.data()["tables"][0]["runs"]
        bars = self.bars()
        self.assertGreaterEqual(len(runs), 200)
        self.assertEqual(set(bars), {run["id"] for run in runs})
        for bar in bars.values():
            self.assertGreater(bar["width"], 1)
            self.assertGreater(bar["height"], 2)
        light = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        self.show(picture="many-dark", dark=True)
        self.assertEqual(set(self.bars()), set(bars))
        dark = self.browser.evaluate("getComputedStyle(document.body).backgroundColor")
        self.assertNotEqual(light, dark)

    def test_the_switch_changes_the_scheme(self):
        self.load("orders", ["id", "1"], "--key", "id")
        self.show()
        color = "getComputedStyle(document.body).backgroundColor"
        before = self.browser.evaluate(color)
        self.browser.evaluate("document.getElementById('theme').click()")
        self.assertNotEqual(self.browser.evaluate(color), before)
        self.browser.evaluate("document.getElementById('theme').click()")
        self.assertEqual(self.browser.evaluate(color), before)

    def test_a_tip_tells_of_the_bar_under_the_pointer(self):
        self.load("orders", ["id", "1", "2"], "--key", "id")
        self.varve("flush", self.db)
        self.show()
        box = next(iter(self.bars().values()))
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved",
                          x=box["x"] + box["width"] / 2, y=box["y"] + box["height"] / 2)
        tip = "document.getElementById('tip')"
        self.assertIn("2 rows", self.browser.evaluate(f"{tip}.innerText"))
        self.assertFalse(self.browser.evaluate(f"{tip}.hidden"))
        self.browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
        self.assertTrue(self.browser.evaluate(f"{tip}.hidden"))

    def test_without_scripts_everything_can_be_read(self):
        self.load("orders", ["id", "1", "2"], "--key", "id")
        self.varve("flush", self.db)
        self.show(scripts=False)
        self.assertEqual(len(self.bars()), 1)  # our own questions are answered all the same
        title = self.browser.evaluate("document.querySelector('g.run > title').textContent")
        self.assertIn("keys 1 to 2", title)
        self.assertTrue(self.browser.evaluate("document.getElementById('theme').hidden"))

    def test_a_narrow_window_needs_no_scrolling_sideways(self):
        self.load("orders", ["id,name"] + [f"{i},n" for i in range(9)], "--key", "id")
        self.varve("flush", self.db)
        self.show(picture="narrow", width=390)
        self.assertLessEqual(self.browser.evaluate("document.documentElement.scrollWidth"), 390)


class DataTest(ReportTest):
    def test_the_figures_are_those_of_the_other_verbs(self):
        self.load("orders", ["id,name"] + [f"{i},n" for i in range(50)], "--key", "id")
        self.varve("flush", self.db)
        self.varve("tag", self.db, "v1")
        self.load("orders", ["id,name", "7,late"], "--key", "id")
        self.show(picture="versions")
        data = self.data()
        stats = json.loads(self.varve("stats", self.db, "--json"))
        self.assertEqual(data["commit"], stats["commit"])
        level = stats["tables"][0]["levels"][0]
        runs = data["tables"][0]["runs"]
        self.assertEqual((len(runs), sum(run["bytes"] for run in runs)),
                         (level["runs"], level["bytes"]))
        self.assertEqual(data["tables"][0]["memtable"]["rows"], 1)
        versions = json.loads(self.varve("versions", self.db, "--json"))["versions"]
        self.assertEqual(data["versions"], versions[::-1])
        self.assertEqual(len(data["log"]["segments"]), stats["log"]["segments"])
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('g.version').length"),
                         len(versions))
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('line.tag').length"), 1)
        self.assertIn("name", [c["name"] for c in data["tables"][0]["columns"]])

    def test_latencies_of_the_last_writer_are_drawn(self):
        self.load("orders", ["id,name"] + [f"{i},n" for i in range(50)], "--key", "id",
                  "--rows-per-commit", "5")
        self.show()
        figures = "[...document.querySelectorAll('figcaption')].map(f => f.textContent).join()"
        self.assertIn("from call to ack", self.browser.evaluate(figures))

    def test_an_earlier_version_shows_its_runs_alone(self):
        for first in (0, 100):
            self.load("orders", ["id"] + [str(first + i) for i in range(10)], "--key", "id")
            self.varve("flush", self.db)
        self.varve("tag", self.db, "first", "--at", "1")
        self.show("--at", "first")
        self.assertEqual(self.data()["as_of"], 1)
        self.assertEqual(len(self.bars()), 1)
        self.page.unlink()
        self.show("--open-as", "2")
        self.assertEqual(len(self.bars()), 2)

    def test_a_page_is_replaced_only_with_yes(self):
        self.load("orders", ["id", "1"], "--key", "id")
        self.varve("report", self.db, "-o", self.page)
        self.varve("report", self.db, "-o", self.page, exit_code=5)
        self.varve("report", self.db, "-o", self.page, "--yes")
        self.varve("report", self.db, "-o", self.db / "page.html", exit_code=2)


class HostileNamesTest(ReportTest):
    def test_names_and_keys_are_text_and_nothing_else(self):
        quoted = '"' + HOSTILE.replace('"', '""') + '"'
        self.load("orders", [f"id,{quoted}", f"{quoted},1", "é\u2028,2"], "--key", "id")
        self.varve("flush", self.db)
        evil = self.folder / "<b onmouseover=alert(1)>.varve"
        shutil.move(self.db, evil)
        self.db = evil
        self.show(picture="hostile")
        self.assertNotEqual(self.browser.evaluate("document.title"), "owned")
        self.assertEqual(self.browser.evaluate("document.querySelectorAll('img, main script, b b')"
                                               ".length"), 0)
        run = self.data()["tables"][0]["runs"][0]
        self.assertEqual(run["first_key"], HOSTILE)
        self.assertEqual(run["last_key"], "é\u2028")
        self.assertIn(HOSTILE, [c["name"] for c in self.data()["tables"][0]["columns"]])
        shown = self.browser.evaluate("document.body.innerText")
        self.assertIn("</script>", shown)
        self.assertEqual(self.browser.evaluate("document.scripts.length"), 2)

    def test_the_policy_stops_what_escaping_would_let_through(self):
        self.load("orders", ["id", "1"], "--key", "id")
        self.varve("report", self.db, "-o", self.page)
        text = self.page.read_text()
        broken = text.replace("<main>", "<main><script>document.title='owned'</script>"
                                        "<img src='https://example.com/x.png'>")
        self.assertNotEqual(text, broken)
        self.page.write_text(broken)
        self.browser.load(self.page)
        self.assertNotEqual(self.browser.evaluate("document.title"), "owned")
        self.assertEqual(len(self.browser.complaints()), 2, self.browser.complaints())

    def test_nothing_in_the_page_names_another_place(self):
        self.load("orders", ["id", "1"], "--key", "id")
        self.varve("report", self.db, "-o", self.page)
        self.assertEqual(re.findall(r"https?://|//[a-z]+\.|url\(|@import", self.page.read_text()),
                         [])


if __name__ == "__main__":
    if browser.find() is None:
        print("no browser: install chromium")
        sys.exit(77)
    unittest.main()
