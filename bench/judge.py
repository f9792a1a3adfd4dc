# SPDX-License-Identifier: Apache-2.0
"""What the suites share: slices that a program printed become figures, and figures verdicts.

A slice during which other processes used more than a quarter of the processors is dropped; what
then has fewer than three rounds left is not measured. Every figure is the median over rounds, with
its quartiles; round 0 is a warm-up and does not count.
"""
import dataclasses
import os
import statistics
import subprocess

OTHERS_MAX = 0.25
SAMPLES_MIN = 3
NOT_MEASURED = "not measured"


@dataclasses.dataclass
class Measure:
    """One line of the table. `floor` and `target` are lower bounds unless `at_most`."""
    name: str
    samples: list
    target: float | None = None
    floor: float | None = None
    at_most: bool = False
    unit: str = ""
    note: str = ""
    absent: str = ""  # why it cannot be measured here, whatever the machine does
    dropped: int = 0
    samples_min: int = 1
    once: bool = False  # it is counted, or takes minutes: one value is all there is
    bare: list = dataclasses.field(default_factory=list)  # the same of what does the least

    @property
    def median(self):
        return statistics.median(self.samples) if self.samples else None

    @property
    def quartiles(self):
        if len(self.samples) < 2:
            return [self.median] * 2
        first, _, third = statistics.quantiles(self.samples, n=4, method="inclusive")
        return [first, third]

    def reaches(self, bound, samples=None):
        median = statistics.median(samples or self.samples)
        return median <= bound if self.at_most else median >= bound

    @property
    def out_of_reach(self):
        bound = self.target if self.floor is None else self.floor
        return (bound is not None and len(self.bare) >= self.samples_min and
                not self.reaches(bound, self.bare))

    @property
    def verdict(self):
        if len(self.samples) < self.samples_min:
            return NOT_MEASURED
        if self.target is None:
            return "for information"
        if self.reaches(self.target):
            return "target reached"
        if self.floor is not None and self.reaches(self.floor):
            return "floor reached"
        return "out of reach here" if self.out_of_reach else "MISSED"

    @property
    def met(self):
        """Whether nothing speaks against it; too few calm rounds do."""
        if self.verdict == NOT_MEASURED:
            return self.target is None or bool(self.absent)
        return self.verdict != "MISSED"

    def as_json(self):
        return {**dataclasses.asdict(self), "median": self.median, "quartiles": self.quartiles,
                "verdict": self.verdict, "met": self.met,
                "out_of_reach": self.out_of_reach}


class Slices:
    """What a benchmark printed. A `quick` run drops nothing: its figures mean nothing anyway."""

    def __init__(self, lines, quick=False):
        self.quick = quick
        self.all = [line for line in lines if "case" in line]
        self.missing = {line["missing"]: line["why"] for line in lines if "missing" in line}

    def of(self, case):
        return {s["round"]: s for s in self.all
                if s["case"] == case and s["round"] > 0 and self.calm(s)}

    def calm(self, *slices):
        return self.quick or all(s.get("others", 0) <= OTHERS_MAX for s in slices)

    def has(self, case):
        return any(s["case"] == case for s in self.all)

    def ratios(self, ours, theirs, value):
        """By round value(our slice) / value(theirs); and in how many rounds one was dropped."""
        other = self.of(theirs)
        found = {n: s for n, s in self.of(ours).items() if n in other}
        rounds = {s["round"] for s in self.all if s["case"] == ours and s["round"] > 0}
        return {n: value(s) / value(other[n]) for n, s in found.items()}, len(rounds - set(found))

    def seconds_ratio(self, limit, case):
        return list(self.ratios(limit, case, lambda s: s["seconds"])[0].values())


def number(value):
    return "-" if value is None else f"{value:.4g}"


def row(measure):
    sign = "<=" if measure.at_most else ">="
    bounds = [f"{sign} {number(b)}" if b is not None else "" for b in
              (measure.target, measure.floor)]
    quartiles = ", ".join(number(q) for q in measure.quartiles) if measure.samples else ""
    remarks = [text for text in (measure.note, measure.absent) if text]
    if measure.bare:
        remarks.append(f"bare: {number(statistics.median(measure.bare))}")
    if measure.verdict == NOT_MEASURED and not measure.absent:
        remarks.append("too few rounds left")
    remarks += [f"{measure.dropped} dropped"] if measure.dropped else []
    return (f"{measure.name:<52} {bounds[0]:>8} {bounds[1]:>8} {number(measure.median):>9} "
            f"{measure.unit:<2}  {quartiles:<18} {measure.verdict}"
            f"{' (' + '; '.join(remarks) + ')' if remarks else ''}")


def table(measures):
    return "\n".join([f"{'measure':<52} {'target':>8} {'floor':>8} {'measured':>9}     "
                      f"{'quartiles':<18} verdict", *map(row, measures)])


def conditions(slices):
    """What the machine was like, in words."""
    flushes = [s["p50_us"] for s in slices.all if s["case"] == "F"]
    others = [s["others"] for s in slices.all if "others" in s]
    words = [f"load {os.getloadavg()[0]:.1f}"]
    if flushes:
        words.append(f"F p50 {statistics.median(flushes):.0f} us")
    if others:
        busy = sum(share > OTHERS_MAX for share in others)
        words.append(f"others used {statistics.median(others):.0%} of the processors, and more "
                     f"than {OTHERS_MAX:.0%} in {busy} of {len(others)} slices")
    return ", ".join(words)


def rate(slice_):
    return slice_["operations"] / slice_["seconds"]


def printed_by(binary, folder, *arguments, quick=False):
    """The lines of a benchmark that worked in `folder`, which must be empty or missing."""
    done = subprocess.run([str(binary), str(folder), *arguments], stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"bench: {binary.name} ended with exit code {done.returncode}")
    if quick:
        print("a smoke run: its figures mean nothing")
    return done.stdout.splitlines()


def conclude(slices, measures):
    """The result as data; the table is printed."""
    for measure in measures:
        measure.samples_min = 1 if slices.quick or measure.once else SAMPLES_MIN
    print(table(measures))
    print(f"machine: {conditions(slices)}")
    return {"machine": conditions(slices), "missing": slices.missing, "slices": slices.all,
            "measures": [measure.as_json() for measure in measures]}
