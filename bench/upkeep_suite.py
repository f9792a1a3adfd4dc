# SPDX-License-Identifier: Apache-2.0
"""What goes on beside reading and writing: runs bench_upkeep and judges what it printed.

Figures are ratios of slices of one round, on one disk, over the same rows (bench/judge.py says
which slices count), but for those that are counted, or come once because they take minutes: these
are single values, and where time is in them they count only when others leave the processors alone.

  flush          a flush of 500,000 rows of ten columns, which came in commits of 1,000, against
                 Arrow alone: it decodes what the flush made and encodes the rows, in order already,
                 with the same properties, into a file that it syncs; and, without a goal, encodes
                 alone. One thread each; "processor time" compares what the threads took, and not
                 what passed: it says more on a machine that others use.
  compaction     three runs of which each has half of the keys, against Arrow alone: it decodes the
                 same files and encodes the same output rows. One thread each.
  upserts        durable upserts of one row, into a table of 1 M rows and into one of 100 M, each in
                 a process that only opened it. What is resident is compared too.
  sustained      one writer, durable commits of 100 rows of ten columns without a pause, keys drawn
                 out of a table of four times the memory of memtables (128 MiB), for ten minutes.
  reopen         1 GiB of log, in commits of 1,000 rows, against reading the same batches as Arrow's
                 IPC messages, checksumming and decoding them. Both sides keep what they decoded.
  space          what is below data/ once half of the rows were overwritten, a tenth deleted, all
                 compacted, and the history let go; against one Parquet file of the live rows.
  amplification  bytes of runs that the store was given, over bytes of rows as Arrow has them,
                 while each row of a table of 16 times the memory of memtables is overwritten 20
                 times. The log's bytes are told apart.
  commits        opens after 100,000 durable commits of one row with default options.
  runs           opens of a database of 100,000 runs.
  tonbo          the workload of its own harness in three flushes: compacted into one file by a job
                 of tonbo's, as its counters tell, and by Database::Compact with all it does; then
                 scanned. tonbo has no call that compacts, and makes its own choices when it may
                 not: so it is opened anew, alone, with settings by which all is one job.
"""
import json
import os
import sys

from judge import Measure, Slices, conclude, printed_by, rate
from versions_suite import against, p50, tonbo_program, what_they_did

QUICK = ["--rounds", "1", "--run-rows", "20000", "--small-rows", "20000", "--large-rows", "40000",
         "--upserts", "50", "--minutes", "0.05", "--memory", str(4 << 20),
         "--log-bytes", str(16 << 20), "--space-rows", "50000", "--overwritten", str(2 << 20),
         "--overwrites", "2", "--commits", "400", "--runs", "4000", "--tonbo-scale", "64"]
DEFAULT = ["--patience", "60"]
MINUTE = "sustained upserts, a minute"


def processor_seconds(slice_):
    return slice_["seconds"] * slice_["processors"]


def beside_arrow(slices, name, case, target):
    """varve's speed over Arrow's, by what passed and, for information, by what the threads took."""
    ours, theirs = f"{case}, varve", f"{case}, Arrow"
    found, dropped = slices.ratios(theirs, ours, lambda s: s["seconds"])
    yield Measure(f"{name}, against Arrow", list(found.values()), target, unit="x",
                  dropped=dropped)
    found, dropped = slices.ratios(theirs, ours, processor_seconds)
    yield Measure(f"{name}, processor time", list(found.values()), unit="x", dropped=dropped)
    if slices.has(f"{theirs} without sync"):
        found, dropped = slices.ratios(f"{theirs} without sync", ours, lambda s: s["seconds"])
        yield Measure(f"{name}, against Arrow without sync", list(found.values()), unit="x",
                      dropped=dropped)


def measure_flush(slices):
    for keys in ("keys in order", "keys in any order"):
        yield from beside_arrow(slices, f"flush, {keys}", f"flush, {keys}", 0.7)
        found, dropped = slices.ratios(f"flush, {keys}, Arrow encoding alone",
                                       f"flush, {keys}, varve", lambda s: s["seconds"])
        yield Measure(f"flush, {keys}, against encoding alone", list(found.values()), unit="x",
                      dropped=dropped)
    for what, value in (("", lambda s: s["seconds"]), (", processor time", processor_seconds)):
        found, dropped = slices.ratios(f"flush, {keys}, Arrow that sorts", f"flush, {keys}, varve",
                                       value)
        yield Measure(f"flush, {keys}, Arrow sorting too{what}", list(found.values()), unit="x",
                      dropped=dropped)


def measure_compaction(slices):
    yield from beside_arrow(slices, "compaction", "compaction", 0.6)


def measure_upserts(slices):
    small, large = "one-row upserts, small", "one-row upserts, large"
    rows = {case: next(s["rows"] for s in slices.all if s["case"] == case)
            for case in (small, large)}
    words = f"{rows[large]:,.0f} rows over {rows[small]:,.0f}"
    for what, value in (("p50", p50), ("resident", lambda s: s["resident_bytes"])):
        found, dropped = slices.ratios(large, small, value)
        yield Measure(f"one-row upsert, {what}, {words}", list(found.values()), 1.1, at_most=True,
                      unit="x", dropped=dropped)


def single(slices, name, value, *bounds, case, timed=False, **more):
    """A value of the one slice of a case. `timed`: it does not count beside busy others."""
    found = [s for s in slices.all if s["case"] == case]
    calm = [s for s in found if not timed or slices.calm(s)]
    note = more.pop("note", "")
    if len(calm) < len(found):
        note = f"{value(found[0]):.4g} while others used {found[0]['others']:.0%}" + \
            (f"; {note}" if note else "")
    return Measure(name, [value(s) for s in calm[:1]], *bounds, once=True, note=note,
                   dropped=len(found) - len(calm), **more)


def measure_sustained(slices):
    minutes = sorted((s for s in slices.all if s["case"] == MINUTE), key=lambda s: s["round"])
    def first_and_last(_):
        return rate(minutes[-1]) / rate(minutes[0])
    whole = {"case": "sustained upserts", "timed": True}
    stopped = sum(s["stopped_us"] for s in minutes) / 1e6
    slowed = sum(s["slowed_us"] for s in minutes) / 1e6
    stalled = sum(s["stalled_us"] for s in minutes) / 1e6
    yield single(slices, "sustained upserts, p99 over p50", lambda s: s["p99_us"] / s["p50_us"],
                 20, at_most=True, unit="x", **whole)
    yield single(slices, "sustained upserts, longest commit", lambda s: s["max_us"] / 1e6, 1,
                 at_most=True, unit="s", **whole)
    yield single(slices, "sustained upserts, last minute over first", first_and_last, 0.8,
                 unit="x", **whole)
    yield single(slices, "sustained upserts, longest wait for upkeep",
                 lambda s: s["longest_wait_us"] / 1e6, at_most=True, unit="s", **whole,
                 note=f"in all slowed {slowed:.1f} s, stopped {stopped:.1f} s, "
                      f"waited for memory {stalled:.1f} s")


def measure_reopen(slices):
    yield from beside_arrow(slices, "reopen of a log", "reopen", 0.6)


def measure_space(slices):
    yield single(slices, "space when compacted, over one Parquet file",
                 lambda s: s["data_bytes"] / s["arrow_bytes"], 1.15, at_most=True, unit="x",
                 case="space")


def measure_amplification(slices):
    case = {"case": "overwriting", "at_most": True, "unit": "x"}
    yield single(slices, "bytes written for a user byte, overwritten",
                 lambda s: s["run_bytes"] / s["user_bytes"], 12, **case)
    yield single(slices, "bytes of runs written for a byte flushed",
                 lambda s: s["run_bytes"] / s["flush_bytes"], **case)
    yield single(slices, "bytes of log written for a user byte",
                 lambda s: s["log_bytes"] / s["user_bytes"], **case)


def measure_commits(slices):
    case = "reopen after one-row commits"
    commits = next(s["operations"] for s in slices.all
                   if s["case"] == "one-row commits by 8 threads")
    found = slices.of(case)
    dropped = len({s["round"] for s in slices.all if s["case"] == case}) - 1 - len(found)
    yield Measure(f"reopen after {commits:,} one-row commits",
                  [s["seconds"] for s in found.values()], 1, at_most=True, unit="s",
                  dropped=dropped)
    yield single(slices, f"runs after {commits:,} one-row commits", lambda s: s["runs"], 50,
                 at_most=True, case=case)


def measure_runs(slices):
    case = "open of many runs"
    runs = max(s["runs"] for s in slices.all if s["case"] == case)
    found = slices.of(case)
    dropped = len({s["round"] for s in slices.all if s["case"] == case}) - 1 - len(found)
    yield Measure(f"open of {runs:,.0f} runs", [s["seconds"] for s in found.values()], 2,
                  at_most=True, unit="s", dropped=dropped)


def measure_tonbo(slices):
    for keys in (2048, 65536):
        jobs = [s for s in slices.all if s["case"] == f"tonbo compaction {keys}, tonbo"]
        for s in jobs:
            if s["failures"] or s["jobs"] != 1:
                raise SystemExit(f"bench: tonbo made {s['jobs']} compactions, and {s['failures']} "
                                 "failed: its figures are not those of one job")
        yield against(slices, f"tonbo's {keys} keys, scan when compacted",
                      f"tonbo scan {keys}, {{}}", ["tonbo"], 20)
        yield against(slices, f"tonbo's {keys} keys, compaction",
                      f"tonbo compaction {keys}, {{}}", ["tonbo"], 5)


GROUPS = {"flush, keys in order, varve": measure_flush, "compaction, varve": measure_compaction,
          "one-row upserts, small": measure_upserts, "sustained upserts": measure_sustained,
          "reopen, varve": measure_reopen, "space": measure_space,
          "overwriting": measure_amplification,
          "reopen after one-row commits": measure_commits, "open of many runs": measure_runs,
          "tonbo scan 2048, varve": measure_tonbo}


def minute_by_minute(slices):
    lines = [f"{'minute':>6} {'rows/s':>10} {'p50 us':>8} {'p99 us':>9} {'max ms':>8} "
             f"{'slowed s':>9} {'stopped s':>9} {'runs':>5} {'MB':>6} {'others':>7}"]
    for s in slices.all:
        if s["case"] == MINUTE:
            lines.append(
                f"{s['round']:>6} {s['rows'] / s['seconds']:>10,.0f} {s['p50_us']:>8,.0f} "
                f"{s['p99_us']:>9,.0f} {s['max_us'] / 1e3:>8,.0f} {s['slowed_us'] / 1e6:>9.2f} "
                f"{s['stopped_us'] / 1e6:>9.2f} {s['runs']:>5.0f} "
                f"{s['resident_bytes'] / 1e6:>6,.0f} {s['others']:>7.0%}")
    return "\n".join(lines)


def judge(lines, quick=False):
    """The result as data; tables are printed. `lines`: what bench_upkeep printed."""
    slices = Slices([json.loads(line) for line in lines], quick)
    print(f"{what_they_did(slices)}\n")
    if slices.has(MINUTE):
        print(f"{minute_by_minute(slices)}\n")
    result = conclude(slices, [measure for case, measures in GROUPS.items() if slices.has(case)
                               for measure in measures(slices)])
    return {"processors": os.cpu_count(), **result}


def run(binary, folder, arguments=(), quick=False, tonbo=None):
    """Runs bench_upkeep in `folder`, which must be empty or missing. `tonbo`: where its side is
    built; without, it is left out."""
    found = tonbo_program(tonbo) if tonbo else ["--tonbo-absent", "left out"]
    return judge(printed_by(binary, folder, *(QUICK if quick else DEFAULT), *found, *arguments,
                            quick=quick), quick)


def main():
    """Judges what an earlier run of bench_upkeep printed: upkeep_suite.py < lines.jsonl"""
    judge(sys.stdin)


if __name__ == "__main__":
    main()
