#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What write-ahead logs say when their bytes are damaged: varve's and its peers', in one table.

bench_log_damage makes each log with 24 durable commits and kills its process, so that the log alone
has the data. Then it damages the log's files in every way there is of a kind, each time in a fresh
copy, opens the database as after a crash, reads everything, and compares:

  refused    an error: the damage was noticed
  exact      everything that was acknowledged, and nothing else: the damage had no effect
  last gone  all but the last commit, whose bytes were damaged: a torn write looks the same
  LOST       silently fewer: an older state, without the newest acknowledged commits
  WRONG      silently other: a state that never was, with holes, revived or foreign records
  crashed    the process died, or read for more than half a minute

The last line of the systems is a control without any checks; it must show silence.
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

OUTCOMES = ("refused", "exact", "last_gone", "lost", "wrong", "crashed")
TITLES = ("refused", "exact", "last gone", "LOST", "WRONG", "crashed")
CONTROL = "control: plain lines"
OURS = "varve"
QUICK = ("--cases-max", "40")
# What no log can notice by itself, only a caller who keeps elsewhere which log it is and how far it
# went: the files that are left are a log that was truncated, that ended earlier, or another one.
# And when the last commit is damaged together with one before it, nothing else tells that the
# latter was acknowledged: a power cut can leave the same bytes.
ONLY_A_CALLER_KNOWS = ("oldest files missing", "stale copy of the last file",
                       "files of another database", "sector exchanged with the last")


class Result:
    """What bench_log_damage printed, in order. Counts are by system and kind of damage."""

    def __init__(self, lines):
        self.systems, self.counts, self.missing = {}, {}, {}
        for line in lines:
            if "missing" in line:
                self.missing[line["missing"]] = line["why"]
            elif "settings" in line:
                self.systems[line["system"]] = line
            else:
                self.counts[line["system"], line["damage"]] = line

    @property
    def damages(self):
        return list(dict.fromkeys(damage for _, damage in self.counts))

    def total(self, system):
        total = collections.Counter()
        for (of, _), line in self.counts.items():
            if of == system:
                total.update({name: line[name] for name in ("cases", *OUTCOMES)})
        return total

    def silent(self, system, damage):
        """The cases of silence, of all tried."""
        line = self.counts[system, damage]
        return line["lost"] + line["wrong"], line["cases"]

    def breaches(self):
        """Where varve was silent though a log can know, or died; and a control that saw nothing."""
        found = []
        for (system, damage), line in self.counts.items():
            silent = line["lost"] + line["wrong"]
            excused = damage in ONLY_A_CALLER_KNOWS and "caller knows" not in system
            if system.startswith(OURS) and (line["crashed"] or silent and not excused):
                first = line["first"]
                found.append(f"{system}, {damage}: " +
                             "; ".join(first[o] for o in ("lost", "wrong", "crashed")
                                       if o in first))
        found += [f"{name}: {why}" for name, why in self.missing.items() if name.startswith(OURS)]
        total = self.total(CONTROL)
        if CONTROL in self.systems and not (total["lost"] and total["wrong"]):
            found.append("the control was not silent: this sweep sees nothing")
        return found


def row(name, counts):
    cells = "".join(f"{counts[outcome]:>10}" for outcome in OUTCOMES)
    return f"  {name:<26}{counts['cases']:>9}{cells}"


def header(title):
    return f"{title:<28}{'cases':>9}" + "".join(f"{name:>10}" for name in TITLES)


def table(result):
    lines = ["systems, as configured:"]
    for name, system in result.systems.items():
        lines.append(f"  {name:<26}{system['settings']}; {system['files']} log files, "
                     f"{system['bytes']:,} bytes")
    lines += [f"  {name:<26}not measured: {why}" for name, why in result.missing.items()]
    lines += ["", header("all damages together")]
    lines += [row(name, result.total(name)) for name in result.systems]
    for damage in result.damages:
        lines += ["", header(damage)]
        for system in result.systems:
            counts = result.counts[system, damage]
            sampled = f"  one in {counts['one_in']}" if counts["one_in"] > 1 else ""
            none = "  (not possible here)" if counts["cases"] == 0 else sampled
            lines.append(row(system, counts) + none)
    return "\n".join(lines)


def show(result, breaches, quick):
    print(table(result))
    seeds = sorted({system["seed"] for system in result.systems.values()})
    print(f"\nseed {', '.join(map(str, seeds))}; replay with --seed")
    for breach in breaches:
        print(f"BREACH: {breach}")
    if quick:
        print("a quick run: few cases of each kind")


def judge(lines, quick=False, as_json=False):
    """The result as data, like that of another suite; it is printed, as a table or so."""
    result = Result([json.loads(line) for line in lines])
    breaches = result.breaches()
    data = {"systems": list(result.systems.values()), "missing": result.missing,
            "counts": list(result.counts.values()), "breaches": breaches,
            "measures": [{"name": "damage of the log, breaches of varve", "median": len(breaches),
                          "met": not breaches}]}
    if as_json:
        print(json.dumps(data, indent=1))
    else:
        show(result, breaches, quick)
    return data


def run(binary, arguments=(), quick=False, folder=None, as_json=False):
    """Runs bench_log_damage in a folder in memory if there is one: nothing is timed."""
    memory = pathlib.Path("/dev/shm")
    where = folder or (memory if os.access(memory, os.W_OK) else None)
    with tempfile.TemporaryDirectory(dir=where, prefix="log_damage_") as scratch:
        done = subprocess.run([str(binary), scratch, *(QUICK if quick else ()), *arguments],
                              stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {binary} ended with exit code {done.returncode}")
    return judge(done.stdout.splitlines(), quick, as_json)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", type=pathlib.Path,
                        help="bench_log_damage; without it, judges what one printed before (stdin)")
    parser.add_argument("--quick", action="store_true", help="few cases of each kind")
    parser.add_argument("--seed", help="of the commits and of the sample")
    parser.add_argument("systems", nargs="*", help="only these")
    parser.add_argument("--json", action="store_true", help="data, not a table")
    options = parser.parse_args()
    seed = ["--seed", options.seed] if options.seed else []
    if options.binary:
        run(options.binary, [*seed, *options.systems], options.quick, as_json=options.json)
    else:
        judge(sys.stdin, options.quick, options.json)


if __name__ == "__main__":
    main()
