#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the tests: plants one bug at a time and demands that a test fails.

bugs_log.json lists those of the log and its files: ./run test plants them. bugs.json lists the
others, for ./run test --long. races.json lists those that only ThreadSanitizer sees, in a build
with it (test/sanitizers_test.sh). A bug is a file, a text that stands in it exactly once, what it
becomes, and the test that has to notice: a GoogleTest program (with the case, or a filter) or a
script of test/ (with arguments). Of a race the test's end says nothing: a report has to name it.
A bug that no longer fits the source, that does not compile, or that nobody notices is a failure.

The sources stay as they are. The file with the bug is compiled as the build of the tests compiles
it, and takes the place of its object when the test's program is linked anew into build/planted.

  test/planted/plant.py --log [NAME ...]      of bugs_log.json, all or these
  test/planted/plant.py [NAME ...]            of bugs.json
  test/planted/plant.py --races [NAME ...]    of races.json
  test/planted/plant.py --fit                 only looks whether all of all three still fit
  --some N   N of them, others with every commit
  --learn    where no case is listed, write down the first of the quick ones that fails
"""
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("VARVE_BUILD_DIR", ROOT / "build" / "release"))
PLANTED = BUILD / "planted"
SCRIPT_SECONDS_MAX, CASE_SECONDS_MAX, RACE_SECONDS_MAX = 600, 60, 300
RACE = b"WARNING: ThreadSanitizer: data race"
QUICK = "*-*Crash*:*Schedule*:LogDamage*:LogArchive*:LogFollow*:LogPages*"


def ninja(*arguments):
    return subprocess.run(["ninja", "-C", str(BUILD), *arguments], check=True, capture_output=True,
                          text=True).stdout


class Tree:
    """What the build of the tests knows: how to compile a file, and how to link a program."""

    def __init__(self):
        self.compiles = {c["output"]: c["command"] for c in json.loads(ninja("-t", "compdb"))
                         if c["output"].endswith(".o")}
        self.sources = {output: shlex.split(command)[-1]
                        for output, command in self.compiles.items()}
        # Several files that are compiled as one: their object stays, beside that of the file alone.
        self.together = {output: re.findall(r'#include "(.+)"', pathlib.Path(source).read_text())
                         for output, source in self.sources.items() if "/Unity/" in source}

    def link_command(self, target):
        command = ninja("-t", "commands", target).splitlines()[-1]
        return shlex.split(command.removeprefix(": && ").removesuffix(" && :"))

    def objects_with(self, file, link, everywhere=False):
        """The objects of a source, or of all that include a header, that `link` may need. Of a
        header those of the test do where the linker takes its functions from them; `everywhere`:
        also those of the library, into which the compiler may have put them."""
        if file.suffix == ".cc":
            found = [o for o, source in self.sources.items()
                     if str(file) in (source, *self.together.get(o, []))]
        else:
            found = [o for o in self.compiles if str(file) in self.headers_of(o)]
        named = [o for o in found if o in link]
        if everywhere:
            return named + [o for o in found if "/varve_room_" in o]
        return named or [o for o in found if "/varve_room_" in o]

    def headers_of(self, output):
        told = subprocess.run(["ninja", "-C", str(BUILD), "-t", "deps", output], check=False,
                              capture_output=True, text=True).stdout
        return {str((BUILD / line.strip()).resolve()) for line in told.splitlines()[1:]}

    def compile_with(self, output, file, patched, whole):
        """Compiles one object with `patched` for `file`; its path and what went wrong. `whole`:
        also the files that are compiled together with it."""
        command = shlex.split(self.compiles[output])
        made = PLANTED / (output.replace("/", "_"))
        command[command.index("-o") + 1] = str(made)
        command[command.index("-MF") + 1] = f"{made}.d"
        together = self.together.get(output, [])
        if str(file) in together and whole:
            unity = made.with_suffix(".cc")
            unity.write_text(pathlib.Path(self.sources[output]).read_text()
                             .replace(f'"{file}"', f'"{patched}"'))
            command[-1] = str(unity)
            command[-2:-2] = ["-iquote", str(file.parent)]
        elif str(file) in (self.sources[output], *together):
            command[-1] = str(patched)
            command[-2:-2] = ["-iquote", str(file.parent)]
        else:
            first = next(i for i, a in enumerate(command) if a.startswith("-I"))
            command.insert(first, f"-I{PLANTED / 'src'}")
        done = subprocess.run(command, cwd=BUILD, capture_output=True, text=True)
        return made, done.stderr if done.returncode != 0 else ""


def link(command, replaced, made):
    """Links with the objects of `replaced`; those of an archive come before it, and win, also
    where one of the archive is needed for what else it holds."""
    command = [str(replaced.pop(a)) if a in replaced else a for a in command]
    command[command.index("-o") + 1] = str(made)
    archive = next((i for i, a in enumerate(command) if a.endswith(".a")), len(command))
    command[archive:archive] = ["-Wl,-z,muldefs", *(str(o) for o in replaced.values())]
    return subprocess.run(command, cwd=BUILD, capture_output=True, text=True)


def does_not_fit(bug):
    """Why the bug cannot be planted as the source is now; None when it can."""
    count = (ROOT / bug["file"]).read_text().count(bug["old"])
    return None if count == 1 else f"its text stands {count} times in {bug['file']}, not once"


def check_all_fit():
    bad = [f"{bug['name']}: {wrong}" for listed in sorted(HERE.glob("*.json"))
           for bug in json.loads(listed.read_text()) if (wrong := does_not_fit(bug))]
    print("".join(f"{line}\n" for line in bad), end="")
    sys.exit(1 if bad else 0)


def program_with(tree, bug):
    """The test's program with the bug in it, and what went wrong."""
    shutil.rmtree(PLANTED, ignore_errors=True)
    PLANTED.mkdir()
    if wrong := does_not_fit(bug):
        return None, wrong
    file = ROOT / bug["file"]
    patched = PLANTED / bug["file"]
    patched.parent.mkdir(parents=True, exist_ok=True)
    patched.write_text(file.read_text().replace(bug["old"], bug["new"]))
    is_script = bug["test"].endswith(".py")
    command = tree.link_command("varve_cli" if is_script else bug["test"])
    replaced = {}
    for output in tree.objects_with(file, command, bug.get("everywhere", False)):
        in_link = output in command  # not in an archive: it takes the object's place
        replaced[output], wrong = tree.compile_with(output, file, patched, in_link)
        if wrong:
            return None, f"it does not compile:\n{wrong[-2000:]}"
    if not replaced:
        return None, f"{bug['test']} is not made from {bug['file']}"
    made = PLANTED / ("varve" if is_script else bug["test"])
    linked = link(command, replaced, made)
    return made, "" if linked.returncode == 0 else f"it does not link:\n{linked.stderr[-2000:]}"


def test_command(bug, program):
    if bug["test"].endswith(".py"):
        return [sys.executable, str(ROOT / "test" / bug["test"]), *bug.get("arguments", [])]
    return [str(program), f"--gtest_filter={bug.get('case', QUICK)}", "--gtest_fail_fast"]


def last_case(output):
    """The case that failed, or ran when the time was over."""
    cases = re.findall(r"^\[(?: RUN     |  FAILED ) \] ([\w/.]+)", output, re.MULTILINE)
    return cases[-1] if cases else ""


def reported(tree, race):
    """None when ThreadSanitizer reported a race; otherwise what went wrong."""
    program, wrong = program_with(tree, race)
    if wrong:
        return wrong
    options = os.environ.get("TSAN_OPTIONS", "") + " halt_on_error=1"
    try:
        ran = subprocess.run(test_command(race, program), capture_output=True, cwd=ROOT,
                             timeout=RACE_SECONDS_MAX, env={**os.environ, "TSAN_OPTIONS": options})
    except subprocess.TimeoutExpired:
        return f"{race['test']} does not end, and no race is reported"
    return None if RACE in ran.stderr else f"no race is reported (exit code {ran.returncode})"


def run_test(bug, program, build, seconds_max):
    return subprocess.run(test_command(bug, program), capture_output=True, cwd=ROOT,
                          timeout=seconds_max, env={**os.environ, "VARVE_BUILD_DIR": str(build)})


def hangs_by_the_bug(tree, bug, seconds_max):
    """None when the test ends in time without the bug: it noticed. A test that is slow by itself
    would take every bug for one that it noticed."""
    made = tree.link_command("varve_cli" if bug["test"].endswith(".py") else bug["test"])
    program = BUILD / made[made.index("-o") + 1]
    try:
        ran = run_test(bug, program, program.parent, seconds_max / 2)
    except subprocess.TimeoutExpired:
        return f"{bug['test']} takes as long without it: name a shorter case"
    return None if ran.returncode == 0 else f"{bug['test']} fails without it"


def noticed(tree, bug):
    """None when a test noticed the bug, whose case is then known; otherwise what went wrong."""
    program, wrong = program_with(tree, bug)
    if wrong:
        return wrong
    seconds_max = SCRIPT_SECONDS_MAX if bug["test"].endswith(".py") else CASE_SECONDS_MAX
    try:
        ran = run_test(bug, program, PLANTED, seconds_max)
    except subprocess.TimeoutExpired as late:
        bug.setdefault("case", last_case((late.stdout or b"").decode(errors="replace")))
        return hangs_by_the_bug(tree, bug, seconds_max)
    if ran.returncode != 0 and not bug["test"].endswith(".py"):
        bug.setdefault("case", last_case(ran.stdout.decode(errors="replace")))
    return None if ran.returncode != 0 else f"{bug['test']} passes with it"


def some_of(bugs, count):
    """The commit says which, so that a run can be repeated and each has its turn."""
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return random.Random(head.stdout.strip()).sample(bugs, min(count, len(bugs)))


def main():
    if "--fit" in sys.argv:
        check_all_fit()
    learn, races = "--learn" in sys.argv, "--races" in sys.argv
    listed = HERE / ("races.json" if races else
                     "bugs_log.json" if "--log" in sys.argv else "bugs.json")
    bugs = json.loads(listed.read_text())
    wanted = {a for a in sys.argv[1:] if not a.startswith("--")}
    if "--some" in sys.argv:
        count = sys.argv[sys.argv.index("--some") + 1]
        wanted = {bug["name"] for bug in some_of(bugs, int(count))} | wanted - {count}
    chosen = [bug for bug in bugs if not wanted or bug["name"] in wanted]
    tree = Tree()
    missed = 0
    for bug in chosen:
        wrong = reported(tree, bug) if races else noticed(tree, bug)
        missed += wrong is not None
        print(f"{'MISSED' if wrong else 'caught'}  {bug['name']:<44} by {bug['test']}"
              f" {bug.get('case', '')}{': ' + wrong if wrong else ''}", flush=True)
    shutil.rmtree(PLANTED, ignore_errors=True)
    if learn:
        lines = ",\n".join(f" {json.dumps(bug, ensure_ascii=False)}" for bug in bugs)
        listed.write_text(f"[\n{lines}\n]\n")
    print(f"{len(chosen) - missed} of {len(chosen)} planted {'races' if races else 'bugs'} caught")
    sys.exit(1 if missed or not chosen else 0)


if __name__ == "__main__":
    main()
