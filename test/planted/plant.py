#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the tests: plants one bug at a time in a copy of the tree and demands that a test fails.

bugs_log.json lists those of the log and its files, which need no Arrow and are quick: ./run test
plants them. bugs.json lists the others, for ./run test --long. A bug is a file, a text that stands
in it exactly once, what it becomes, and the test that has to notice: a GoogleTest program (with a
filter) or a script of test/ (with arguments).
A bug that no longer fits the source, that does not compile, or that nobody notices is a failure.

  test/planted/plant.py --log [NAME ...]      of bugs_log.json, all or these
  test/planted/plant.py [NAME ...]            of bugs.json
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LOG_ALONE = "--log" in sys.argv[1:]
# Tests that take long and look at what the bugs are not about; a bug may ask for them.
FILTER = "*-LogArchive*:LogFollow*:LogPages*" if LOG_ALONE else "*"
COPY = ROOT / "build" / ("planted_log" if LOG_ALONE else "planted")
BUILD = COPY / "build" / "dev"
TEST_SECONDS_MAX = 120 if LOG_ALONE else 600


def copy_tree():
    COPY.mkdir(parents=True, exist_ok=True)
    files = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                           cwd=ROOT, check=True, capture_output=True).stdout.split(b"\0")
    for name in filter(None, (f.decode() for f in files)):
        source, target = ROOT / name, COPY / name
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copy2(source, target)


def build(*targets):
    return subprocess.run(["ninja", "-C", str(BUILD), *targets], capture_output=True, text=True)


def configure():
    environment = dict(os.environ)
    venv = list((ROOT / "build" / "venv").glob("lib/python3*/site-packages/pyarrow"))
    if venv:
        environment["VARVE_PYARROW_DIR"] = str(venv[0])
    alone = ["-DVARVE_BUILD_DATABASE=OFF", "-DCMAKE_CXX_FLAGS_DEBUG=-O1"] if LOG_ALONE else []
    subprocess.run(["cmake", "--preset", "dev", *alone], cwd=COPY, env=environment, check=True,
                   capture_output=True)


def program(name):
    [path] = [p for p in BUILD.rglob(name) if p.is_file() and os.access(p, os.X_OK)]
    return path


def noticed(bug):
    """None when a test noticed the bug; otherwise what went wrong."""
    path = COPY / bug["file"]
    sound = path.read_text()
    if sound.count(bug["old"]) != 1:
        return f"its text stands {sound.count(bug['old'])} times in {bug['file']}, expected once"
    path.write_text(sound.replace(bug["old"], bug["new"]))
    try:
        is_script = bug["test"].endswith(".py")
        built = build("varve_cli" if is_script else bug["test"])
        if built.returncode != 0:
            return "it does not compile:\n" + built.stdout[-2000:]
        if is_script:
            command = [sys.executable, str(COPY / "test" / bug["test"]), *bug.get("arguments", [])]
        else:
            command = [str(program(bug["test"])), f"--gtest_filter={bug.get('filter', FILTER)}",
                       "--gtest_fail_fast", "--gtest_brief=1"]
        try:
            ran = subprocess.run(command, capture_output=True, timeout=TEST_SECONDS_MAX, cwd=COPY,
                                 env={**os.environ, "VARVE_BUILD_DIR": str(BUILD)})
        except subprocess.TimeoutExpired:
            return None  # a hang is noticed too
        return None if ran.returncode != 0 else f"{bug['test']} passes with it"
    finally:
        path.write_text(sound)


def main():
    bugs = json.loads((HERE / ("bugs_log.json" if LOG_ALONE else "bugs.json")).read_text())
    wanted = set(sys.argv[1:]) - {"--log"}
    if wanted:
        bugs = [bug for bug in bugs if bug["name"] in wanted]
    copy_tree()
    configure()
    missed = 0
    for bug in bugs:
        wrong = noticed(bug)
        missed += wrong is not None
        print(f"{'MISSED' if wrong else 'caught'}  {bug['name']:<44} by {bug['test']}"
              f"{': ' + wrong if wrong else ''}", flush=True)
    print(f"{len(bugs) - missed} of {len(bugs)} planted bugs caught")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
