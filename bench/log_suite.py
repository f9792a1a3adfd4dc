# SPDX-License-Identifier: Apache-2.0
"""The log against the limits of the machine and against its peers: runs bench_log and judges.

F is the time of one write of 4 KiB and its sync, on a file prepared like the log's segments, in the
same folder. It is measured before and after every slice of durable commits; R is commits per second
times the mean of the two, so that it says how many commits share a flush, whatever the device does
meanwhile. A slice between two F that differ by more than a quarter is dropped. bench/judge.py says
what else is, and how figures are made.

Beside the log run programs that do the least that any log must (bench/bare_commits.h,
bench/bare_appends.h; of segment changes: as many F). Where one of them does not reach a floor in
the same run, that floor is out of reach on this machine: the table says so, with what they reach,
and it counts as neither met nor missed.

What cannot be written without being durable is set against L = 1/(1/M + 1/C + 1/W): copying the
bytes once (M), their CRC-32C (C), and overwriting a prepared file 1 MiB at a time (W); encrypted
also AES-256-GCM (A).
"""
import json
import statistics
import sys

from judge import Measure, Slices, conclude, printed_by, rate

WRITERS = (1, 8, 16, 64)
F_DRIFT_MAX = 1.25
QUICK = ["--rounds", "1", "--slice", "0.1", "--flush", "0.05", "--prepared", str(8 << 20),
         "--append", str(4 << 20), "--change", str(1 << 18)]
DEFAULT = ["--patience", "60"]
ONE_THREAD = "one thread, 64 tickets"


class LogSlices(Slices):
    """With the F around each slice of durable commits."""

    def durable(self, case):
        """By round: the slice with the F around it; and how many were dropped."""
        found, dropped = {}, 0
        for before, at, after in zip(self.all, self.all[1:], self.all[2:]):
            if at["case"] != case or at["round"] == 0:
                continue
            times = [f["seconds"] / f["operations"] for f in (before, after)]
            drifted = max(times) > F_DRIFT_MAX * min(times) and not self.quick
            if drifted or not self.calm(before, at, after):
                dropped += 1
                continue
            found[at["round"]] = {**at, "F": sum(times) / 2,
                                  "F50_us": (before["p50_us"] + after["p50_us"]) / 2,
                                  "F99_us": (before["p99_us"] + after["p99_us"]) / 2}
        return found, dropped

    def r(self, case):
        found, dropped = self.durable(case)
        return {n: s["operations"] / s["seconds"] * s["F"] for n, s in found.items()}, dropped


def measure_durable(slices):
    bounds = {1: (0.97, 0.95), 8: (4.5, 4.0), 16: (8.5, 7), 64: (30, 25)}
    for writers in WRITERS:
        r, dropped = slices.r(f"varve N={writers}")
        yield Measure(f"R({writers})", list(r.values()), *bounds[writers], dropped=dropped,
                      bare=list(better_of(slices, bare_of(writers))[0].values()))
    r, dropped = slices.r(f"varve {ONE_THREAD}")
    yield Measure(f"R, {ONE_THREAD}", list(r.values()), 35, 28, dropped=dropped)


def measure_latency(slices):
    alone, dropped = slices.durable("varve N=1")
    yield Measure("latency N=1, p50 above that of F",
                  [s["p50_us"] - s["F50_us"] for s in alone.values()], 5, 10, True, "us",
                  dropped=dropped)
    many, dropped = slices.durable("varve N=64")
    bare, _ = slices.durable(better_of(slices, bare_of(64))[1])
    for name, target, floor in (("p50", 2, 2.5), ("p99", 4, 6)):
        ours, least = ([s[f"{name}_us"] / 1e6 / s["F"] for s in found.values()]
                       for found in (many, bare))
        yield Measure(f"latency N=64, {name} over F", ours, target, floor, True, dropped=dropped,
                      bare=least)


def bare_of(writers):
    return [f"{name} N={writers}" for name in ("bare", "bare chain")]


def better_of(slices, names):
    """The R by round of the peer's configuration that did best, and its name."""
    runs = {name: slices.r(name)[0] for name in names}
    runs = {name: r for name, r in runs.items() if r}
    if not runs:
        return {}, ""
    best = max(runs, key=lambda name: statistics.median(runs[name].values()))
    return runs[best], best


def against(slices, writers, names, *bounds, name="N={} against {}"):
    ours, _ = slices.r(f"varve N={writers}")
    theirs, best = better_of(slices, [f"{name} N={writers}" for name in names])
    rounds = sorted(set(ours) & set(theirs))
    bare, _ = better_of(slices, bare_of(writers) if bounds else [])
    absent = "; ".join(sorted({slices.missing[n] for n in names if n in slices.missing}))
    return Measure(name.format(writers, names[0]), [ours[n] / theirs[n] for n in rounds],
                   *bounds, unit="x", note=best if len(names) > 1 else "", absent=absent,
                   dropped=len(set(ours) ^ set(theirs)),
                   bare=[bare[n] / theirs[n] for n in rounds if n in bare])


def measure_peers(slices):
    rocks = ["RocksDB", "RocksDB pipelined"]
    yield against(slices, 1, rocks)
    yield against(slices, 8, rocks, 1.6, 1.4)
    yield against(slices, 16, rocks, 2, 1.7)
    yield against(slices, 64, rocks, 4, 3)
    yield against(slices, 1, ["SQLite"])
    yield against(slices, 1, ["LMDB"])


def measure_waking(slices):
    """Against as many threads that only wait for a flusher which only flushes (bare_commits.h)."""
    for writers in (8, 16, 64):
        yield against(slices, writers, ["bare", "bare chain"],
                      name="N={}, share of threads that only wait")


def appends_and_limits(slices, variant, record_bytes, *more):
    """By round: seconds that a byte took, and what copying, checksumming and writing it takes."""
    def seconds_per_byte(case):
        return {n: s["seconds"] / s["bytes"] for n, s in slices.of(case).items()}
    limits = [seconds_per_byte(case) for case in (f"M, {record_bytes} B", "C", "W", *more)]
    appends = seconds_per_byte(f"{variant}, {record_bytes} B, 1 thread")
    return [(took, sum(limit[n] for limit in limits)) for n, took in appends.items()
            if all(n in limit for limit in limits)]


def share_of_limit(*case):
    return [limit / took for took, limit in appends_and_limits(*case)]


def nanos_above_limit(slices, variant, record_bytes):
    return [(took - limit) * record_bytes * 1e9
            for took, limit in appends_and_limits(slices, variant, record_bytes)]


def measure_append(slices):
    yield Measure("append, 4 KiB, share of L", share_of_limit(slices, "append", 4096), 0.75, 0.6)
    yield Measure("append, 4 KiB, per record above L",
                  nanos_above_limit(slices, "append", 4096), unit="ns")
    yield Measure("append, 128 B, share of L", share_of_limit(slices, "append", 128))
    yield Measure("append, 128 B, per record above L",
                  nanos_above_limit(slices, "append", 128), 60, 90, True, "ns")
    sealed = "append, encrypted"
    yield Measure("append encrypted, 4 KiB, share of L with A",
                  share_of_limit(slices, sealed, 4096, "A"), 0.7, 0.55)
    yield Measure("append encrypted, 128 B, share of L with A",
                  share_of_limit(slices, sealed, 128, "A"))
    for how in ("lz4", "zstd", "synced behind"):
        for size in (4096, 128):
            yield Measure(f"append {how}, {size} B, over plain append",
                          slices.seconds_ratio(f"append, {size} B, 1 thread",
                                               f"append, {how}, {size} B, 1 thread"), unit="x")


def measure_padding(slices):
    for how in ("append", "append, encrypted", "append, lz4", "append, zstd"):
        found = slices.of(f"{how}, 128 B, 1 thread").values()
        changes = sum(s["segment_changes"] for s in found)
        yield Measure(f"{how}, 128 B, bytes written per user byte",
                      [s["log_bytes"] / s["bytes"] for s in found], at_most=True,
                      note=f"{changes:.0f} segment changes" if changes else "")


def measure_scaling(slices):
    for size in (4096, 128):
        for threads, target, floor in ((2, 1.7, 1.5), (4, 1.6, 1.4)):
            yield Measure(f"append, {size} B, {threads} threads over 1",
                          slices.seconds_ratio(f"append, {size} B, 1 thread",
                                               f"append, {size} B, {threads} threads"),
                          target, floor, unit="x",
                          bare=slices.seconds_ratio(f"bare append, {size} B, 1 thread",
                                                    f"bare append, {size} B, {threads} threads"))


def measure_replay(slices):
    for size, target, floor in ((4096, 0.8, 0.65), (128, 0.5, 0.35)):
        yield Measure(f"replay, {size} B, share of read + CRC",
                      slices.seconds_ratio(f"read and CRC, {size} B", f"replay, {size} B"),
                      target, floor)
        yield Measure(f"replay, {size} B, over one that does not read ahead",
                      slices.seconds_ratio(f"replay without reading ahead, {size} B",
                                           f"replay, {size} B"), unit="x")


def measure_economy(slices):
    for writers in WRITERS:
        found = slices.of(f"varve N={writers}").values()
        syncs = [s["syncs"] / s["operations"] for s in found]
        if any(share > 1 + 1e-9 + s["segment_changes"] * 2 / s["operations"]
               for share, s in zip(syncs, found)) or any(share <= 0 for share in syncs):
            raise SystemExit(f"bench: N={writers}: {max(syncs)} syncs per commit cannot be")
        bound = (2.2, 2.2, True) if writers >= 8 else (None, None, True)
        yield Measure(f"syncs per commit times N, N={writers}", [x * writers for x in syncs],
                      *bound)
    for writers in (1, 8, 64):
        yield Measure(f"bytes written per user byte, N={writers}",
                      [s["log_bytes"] / s["user_bytes"]
                       for s in slices.of(f"varve N={writers}").values()], at_most=True)
    yield Measure("contended atomics per commit", [], 1, 1, True,
                  absent="a test counts them: test/log_schedule, ATicketSwapsOneWord")


def measure_changes(slices):
    ours, raw = slices.of("commits across segment changes"), slices.of("F, as many as commits")
    for s in ours.values():
        if s["segment_changes"] < 10:
            raise SystemExit(f"bench: only {s['segment_changes']} segment changes happened")
    yield Measure("slowest commit in 10 segment changes over p99 of F",
                  [s["max_us"] / raw[n]["p99_us"] for n, s in ours.items() if n in raw],
                  3, 6, True, bare=[s["max_us"] / s["p99_us"] for s in raw.values()])


def measure_methods(slices):
    """What each sync method would give on this device, against the one that the log chose."""
    base = slices.of("F")
    for method in ("fdatasync", "fsync", "RWF_DSYNC", "O_DIRECT + RWF_DSYNC"):
        found = slices.of(f"F by {method}")
        yield Measure(f"F by {method} over F",
                      [s["p50_us"] / base[n]["p50_us"] for n, s in found.items() if n in base],
                      at_most=True)


def measure_presets(slices):
    """Each preset moves its axis against the defaults."""
    def over_defaults(preset, case, value, *bounds, name):
        ours, base = slices.of(f"{preset}, {case}"), slices.of(f"defaults, {case}")
        return Measure(name, [value(s) / value(base[n]) for n, s in ours.items() if n in base],
                       *bounds)

    def syncs(slice_):
        return slice_["syncs"] / slice_["operations"]
    yield over_defaults("throughput", "N=16", syncs, 0.9, 1, True,
                        name="preset throughput: syncs per commit, N=16")
    yield over_defaults("throughput", "N=1", lambda s: s["p50_us"], None, None, True,
                        name="preset throughput: p50, N=1 (its price)")
    yield over_defaults("latency", "beside a flood", lambda s: s["p50_us"], 0.9, 1, True,
                        name="preset latency: p50 beside a flood of appends")
    yield over_defaults("durable", "N=1", lambda s: s["p50_us"], None, None, True,
                        name="preset durable: p50, N=1 (its price)")


def measure_linger(slices):
    """The most that anything which moves linger by itself could gain."""
    for writers in (1, 8, 64):
        base = slices.of(f"linger 0 us, N={writers}")
        ratios = {}
        for micros in (20, 50, 100, 200):
            ours = slices.of(f"linger {micros} us, N={writers}")
            ratios[micros] = [rate(s) / rate(base[n]) for n, s in ours.items() if n in base]
        ratios = {micros: found for micros, found in ratios.items() if found}
        best = max(ratios, key=lambda micros: statistics.median(ratios[micros]), default=None)
        yield Measure(f"commits with the best linger over none, N={writers}",
                      ratios.get(best, []), unit="x", note=f"{best} us")


GROUPS = {"durable": (measure_durable, measure_latency, measure_waking, measure_peers,
                      measure_economy, measure_methods),
          "append": (measure_append, measure_padding, measure_scaling),
          "replay": (measure_replay,),
          "changes": (measure_changes,),
          "knobs": (measure_presets, measure_linger)}


def judge(lines, quick=False):
    """The result as data; the table is printed. `lines`: what bench_log printed."""
    slices = LogSlices([json.loads(line) for line in lines], quick)
    first = {"durable": "F", "append": "C", "replay": "replay, 128 B",
             "changes": "commits across segment changes", "knobs": "defaults, N=1"}
    return conclude(slices, [measure for group, case in first.items() if slices.has(case)
                             for make in GROUPS[group] for measure in make(slices)])


def run(binary, folder, arguments=(), quick=False):
    """Runs bench_log in `folder`, which must be empty or missing, and judges what it printed."""
    return judge(printed_by(binary, folder, *(QUICK if quick else DEFAULT), *arguments,
                            quick=quick), quick)


def main():
    """Judges what an earlier run of bench_log printed: log_suite.py < lines.jsonl"""
    judge(sys.stdin)


if __name__ == "__main__":
    main()
