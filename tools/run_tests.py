#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every test of a build and ends on the line `N passed, N failed`.

Three kinds: the GoogleTest programs that CMake lists in tests.txt (each test case counts), the
scripts test/*_test.py and test/*_test.sh, and tools/tidy.py (each counts as one). A script gets the
build folder in VARVE_BUILD_DIR and says by its exit code whether it passed; 77 means that it cannot
run here, and is shown as skipped.

usage: run_tests.py [--long] [--build DIR] [--jobs N] [NAME...]
  --long   ask the random and crash tests for their long versions (VARVE_LONG=1)
  NAME     run only programs and scripts whose name contains one of these
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIPPED = 77
TIMEOUT_SECONDS = {False: 2400, True: 14400}
# These begin first, so that at the end no processor waits for one of them.
LONGEST = ("planted_test.sh", "sanitizers_test.sh", "test_model", "test_isolation",
           "test_log_damage", "test_log_crash", "differential_test.py", "test_crash",
           "test_error_loops", "kill_test.py", "consumer_test.sh", "test_log_schedule")


class Outcome:
    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.told = []
        self.failed = 0
        self.skipped = []
        self.output = ""
        self.seconds = 0.0


def run_command(command, env, timeout):
    """The exit code and all output; a timeout is exit code None."""
    try:
        done = subprocess.run(command, cwd=ROOT, env=env, timeout=timeout, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        text = (late.stdout or b"").decode(errors="replace")
        return None, f"{text}\ntook longer than {timeout} s and was stopped\n"


def read_report(report, outcome):
    """Counts the test cases of a GoogleTest report."""
    for suite in json.loads(report.read_text())["testsuites"]:
        for case in suite["testsuite"]:
            name = f"{outcome.name}: {case['classname']}.{case['name']}"
            if case.get("result") == "SKIPPED":
                outcome.skipped.append(name)
            elif case.get("failures"):
                outcome.failed += 1
            elif case.get("status") == "RUN":
                outcome.passed += 1


def run_program(program, env, timeout):
    outcome = Outcome(program.name)
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        code, outcome.output = run_command([str(program), f"--gtest_output=json:{report}"], env,
                                           timeout)
        if report.exists():
            read_report(report, outcome)
    if code != 0 and outcome.failed == 0:  # a crash, or it did not start
        outcome.failed = 1
        outcome.output += f"\n{program.name} ended with exit code {code}\n"
    return outcome


def run_script(command, name, env, timeout):
    outcome = Outcome(name)
    code, outcome.output = run_command(command, env, timeout)
    if code == SKIPPED:
        last = outcome.output.strip().splitlines()[-1:] or ["no reason given"]
        outcome.skipped.append(f"{name}: {last[0]}")
    elif code == 0:
        outcome.passed = 1
        lines = outcome.output.splitlines()
        outcome.skipped += [f"{name}: {line[9:]}" for line in lines if line.startswith("skipped: ")]
        outcome.told = [line for line in lines if line.startswith("caught ")]
    else:
        outcome.failed = 1
    return outcome


def find_jobs(build, wanted, env, timeout):
    """Every test as (name, function), programs that take longest first."""
    jobs = []
    listing = build / "tests.txt"
    programs = [pathlib.Path(p) for p in listing.read_text().split()] if listing.exists() else []
    if not programs:
        raise SystemExit(f"run_tests: {listing} lists no tests; run ./run build first")
    scripts = [p for p in (ROOT / "test").glob("*_test.*") if p.suffix in (".py", ".sh")]
    for script in sorted(scripts):
        command = [sys.executable, str(script)] if script.suffix == ".py" else ["bash", str(script)]
        jobs.append((script.name, lambda c=command, n=script.name: run_script(c, n, env, timeout)))
    for program in programs:
        jobs.append((program.name, lambda p=program: run_program(p, env, timeout)))
    for script in ("tidy.py", "tidy_test.py"):
        command = [sys.executable, str(ROOT / "tools" / script)]
        jobs.append((script, lambda c=command, n=script: run_script(c, n, env, timeout)))
    jobs.sort(key=lambda job: LONGEST.index(job[0]) if job[0] in LONGEST else len(LONGEST))
    return [job for job in jobs if not wanted or any(part in job[0] for part in wanted)]


def timed(job):
    start = time.monotonic()
    outcome = job()
    outcome.seconds = time.monotonic() - start
    return outcome


def show(outcome):
    state = "FAILED" if outcome.failed else "passed" if outcome.passed else "skipped"
    print(f"{state:8}{outcome.name:32}{outcome.passed:6} passed {outcome.failed:4} failed "
          f"{outcome.seconds:7.1f} s", flush=True)
    if outcome.failed:
        told = [line for line in outcome.output.splitlines()
                if not line.startswith(("[ RUN      ]", "[       OK ]", "[----------]"))]
        print("".join(f"    {line}\n" for line in told), flush=True)
    for line in outcome.told:  # which test noticed which planted bug
        print(f"    {line}", flush=True)
    for name in outcome.skipped:
        print(f"    skipped {name}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    env = dict(os.environ, VARVE_BUILD_DIR=str(build))
    if arguments.long:
        env["VARVE_LONG"] = "1"
    jobs = find_jobs(build, arguments.names, env, TIMEOUT_SECONDS[arguments.long])
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(timed, job) for _, job in jobs]):
            outcome = done.result()
            show(outcome)
            passed += outcome.passed
            failed += outcome.failed
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
