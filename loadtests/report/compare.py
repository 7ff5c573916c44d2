"""Is it slower than it was? Two builds' runs compared, figure by figure, and the few figures that judge.

A figure is flagged as a regression when its interval leaves out "no change", it went the wrong way by more than two groups of
equal builds would differ by, and by at least `least_effect`. The interval allows for how many figures judge (Bonferroni): two
equal builds are flagged in any of them in at most 5 % of cases. docs/compare.md has the reasoning.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any, Literal

from loadtests.errors import InputError
from loadtests.exitcodes import ExitCode
from loadtests.measure.resampling import change
from loadtests.measure.residuals import Runs
from loadtests.report.comparable import (
    JUDGES,
    believable,
    check_comparable,
    commits_of,
    crossed,
    left_out,
    missing_figures,
    shared_figures,
    usable_history,
)
from loadtests.store.measured import YARDSTICK, Measured

VERSION = 1
FAMILY = 0.05
"""Chance that anything is flagged as a regression in a comparison of equal builds."""
LEAST_EFFECT = 0.05
LEAST_DIFFERENCE = 0.001
"""Of a ratio, which changes by a difference: one more request in a thousand that fails."""
MORE_IS_BETTER = ("capacity",)
"""Of those that judge; of all others less is better."""
COARSE = {"capacity": 0.10}
"""Figures that are known in steps only, with the least change that counts. A search ends within 5 %, so two of equal builds may
end two steps apart; and when all of a side end at the same step, their noise looks like none."""
RATIOS = ("failure_ratio", "achieved")
Flag = Literal["regression", "improvement", "suspect", "none"]


@dataclass(frozen=True)
class Row:
    """One figure."""

    figure: str
    judges: bool
    relative: bool
    """Whether `effect`, interval and noise are shares of the baseline, or differences of a ratio."""
    baseline: float
    candidate: float
    """Geometric means over the runs, of ratios means."""
    effect: float
    low: float | None
    high: float | None
    noise: float | None
    """None where run-to-run noise is not known."""
    flag: Flag
    slope: float | None = None
    """How much the figure follows the machine's speed, whose part is not in `effect`; None where it is."""


@dataclass(frozen=True)
class Comparison:
    """What came out."""

    scenario: str
    baseline: Sequence[str]
    candidate: Sequence[str]
    """The runs that were compared."""
    commits: tuple[str, str]
    pairs: bool
    level: float
    """Of the intervals."""
    least_effect: float
    rows: Sequence[Row]
    notes: Sequence[str] = field(default=())

    @property
    def regressions(self) -> list[Row]:
        """What got worse."""
        return self._flagged("regression")

    @property
    def improvements(self) -> list[Row]:
        """What got better."""
        return self._flagged("improvement")

    @property
    def suspects(self) -> list[Row]:
        """What may have got worse, as far as one run can tell."""
        return self._flagged("suspect")

    @property
    def noise_known(self) -> bool:
        """Whether anything can be flagged: there is more than one run a side, or a history."""
        return any(row.noise is not None for row in self.rows)

    def _flagged(self, flag: Flag) -> list[Row]:
        return [row for row in self.rows if row.flag == flag]

    @property
    def exit_code(self) -> ExitCode:
        """FAIL for a regression."""
        return ExitCode.FAIL if self.regressions else ExitCode.PASS

    def to_json(self) -> dict[str, Any]:
        """Everything, and what it comes to."""
        return {"version": VERSION, "verdict": "regression" if self.regressions else "no regression", **asdict(self)}


def compare(
    baseline: Sequence[Measured],
    candidate: Sequence[Measured],
    pairs: bool,
    history: Sequence[Sequence[Measured]] = (),
    least_effect: float = LEAST_EFFECT,
    across: Sequence[str] = (),
    within: Mapping[str, Sequence[float]] | None = None,
) -> Comparison:
    """Compare runs of two builds; `pairs`: the i-th of both sides were run one after the other.

    `history` are groups of runs of the same build and night, in order; `across` names conditions that are what is compared.
    `within` has, for the figures of a single run a side, what resampling its seconds makes of the effect (log scale).
    Raises InputError for runs that cannot be compared, naming in what they differ, and when none is left,
    of runs or of figures.
    """
    if pairs and len(baseline) != len(candidate):
        raise InputError(f"not comparable: pairs of {len(baseline)} and {len(candidate)} runs")
    notes = list(left_out([*baseline, *candidate]))
    baseline, candidate = believable(baseline, candidate, pairs)
    check_comparable(baseline, candidate, across)
    groups = usable_history(history, [*baseline, *candidate], across)
    figures = list(shared_figures(baseline, candidate))
    judging = sum(bool(JUDGES.fullmatch(figure)) for figure in figures)
    tail = FAMILY / max(1, judging)
    sides = _Sides(baseline, candidate, pairs, groups, tail, least_effect, within or {})
    rows = [row for figure in figures if (row := sides.row(figure)) is not None]
    if not rows:
        raise InputError("nothing to compare: there is no figure that runs of both sides have")
    return Comparison(
        scenario=baseline[0].scenario,
        baseline=[run.run_id for run in baseline],
        candidate=[run.run_id for run in candidate],
        commits=(commits_of(baseline), commits_of(candidate)),
        pairs=pairs,
        level=1 - 2 * tail,
        least_effect=least_effect,
        rows=rows,
        notes=[*notes, *crossed(baseline[0], candidate[0], across), *missing_figures(baseline, candidate)],
    )


@dataclass(frozen=True)
class _Sides:
    """Both sides, and how a figure of theirs is judged."""

    baseline: Sequence[Measured]
    candidate: Sequence[Measured]
    pairs: bool
    history: Sequence[Sequence[Measured]]
    tail: float
    least_effect: float
    within: Mapping[str, Sequence[float]]

    def row(self, figure: str) -> Row | None:
        """None for a figure that no two runs have, or of which no ratio can be made."""
        relative = figure not in RATIOS
        runs = self._runs(figure)
        if not runs.baseline or not runs.candidate or (relative and min(*runs.baseline, *runs.candidate) <= 0):
            return None
        yardstick = self._runs(YARDSTICK, beside=figure) if relative and figure != YARDSTICK else None
        if relative:
            runs, yardstick = _logarithms(runs), None if yardstick is None else _logarithms(yardstick)
        if yardstick is not None and not _same_size(runs, yardstick):
            yardstick = None  # runs of a harness that did not measure it
        means = [fmean(side) for side in (runs.baseline, runs.candidate)]
        found = change(runs.baseline, runs.candidate, self.pairs, self.tail, runs.history, yardstick)
        effect = means[1] - means[0] if found is None else found.effect
        noise = None if found is None else found.noise
        interval = None if found is None else (found.low, found.high)
        if found is None and figure in self.within:
            interval = _middle(self.within[figure], self.tail)
        judges = bool(JUDGES.fullmatch(figure))
        flag = self._judged(figure, effect, interval, noise, relative) if judges else "none"
        back = math.exp if relative else float
        share = math.expm1 if relative else float
        low, high = (None, None) if interval is None else (share(interval[0]), share(interval[1]))
        noise = None if noise is None else share(noise)
        slope = None if found is None else found.slope
        return Row(figure, judges, relative, back(means[0]), back(means[1]), share(effect), low, high, noise, flag, slope)

    def _runs(self, figure: str, beside: str | None = None) -> Runs:
        """A figure of both sides' runs, of pairs of those where both have it, and of the history.

        `beside`: of those runs that have the other figure, too.
        """
        wanted = {figure, beside or figure}

        def values(runs: Sequence[Measured]) -> list[float]:
            return [run.values[figure] for run in runs if wanted <= run.values.keys()]

        history = [values(group) for group in self.history]
        if not self.pairs:
            return Runs(values(self.baseline), values(self.candidate), history)
        both = [
            (one, other)
            for one, other in zip(self.baseline, self.candidate, strict=True)
            if wanted <= one.values.keys() & other.values.keys()
        ]
        return Runs(values([one for one, _ in both]), values([other for _, other in both]), history)

    def _judged(
        self, figure: str, effect: float, interval: tuple[float, float] | None, noise: float | None, relative: bool
    ) -> Flag:
        least = math.log1p(max(self.least_effect, COARSE.get(figure, 0.0))) if relative else LEAST_DIFFERENCE
        if figure not in MORE_IS_BETTER:
            return _flag(effect, interval, noise, least)
        return _flag(-effect, None if interval is None else (-interval[1], -interval[0]), noise, least)


def _flag(effect: float, interval: tuple[float, float] | None, noise: float | None, least: float) -> Flag:
    """Of an effect that is worse when it is more."""
    if interval is None or interval[0] <= 0 <= interval[1]:
        return "none"
    if noise is None:  # one run a side: how far two of them lie apart by chance is not known
        return "suspect" if effect >= least else "none"
    if effect >= least and effect > noise:
        return "regression"
    # As much the other way round: a third less is what half as much more takes back.
    return "improvement" if -effect >= least and -effect > noise else "none"


def _logarithms(runs: Runs) -> Runs:
    """Of what is above 0, as every time is."""

    def of(group: Sequence[float]) -> list[float]:
        return [math.log(value) for value in group if value > 0]

    return Runs(of(runs.baseline), of(runs.candidate), [of(group) for group in runs.history])


def _same_size(runs: Runs, yardstick: Runs) -> bool:
    """Whether each run has both figures."""

    def sizes(one: Runs) -> list[int]:
        return [len(group) for group in (one.baseline, one.candidate, *one.history)]

    return sizes(runs) == sizes(yardstick)


def _middle(replicates: Sequence[float], tail: float) -> tuple[float, float]:
    """The interval between both tails."""
    ordered = sorted(replicates)
    cut = min(int(tail * len(ordered)), (len(ordered) - 1) // 2)
    return ordered[cut], ordered[-1 - cut]
