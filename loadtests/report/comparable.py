"""Which runs, and which of their figures, are compared: what has to be equal for that, and what can be believed."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from loadtests.errors import InputError
from loadtests.store.measured import Measured, differences, differences_text

JUDGES = re.compile(r"service_time\(.*\)\.p(50|95)|failure_ratio|cpu_per_request|task_run\.p95|capacity")
"""Figures that judge. Each one more makes the others less sharp."""


def in_turns(baseline: Sequence[Measured], candidate: Sequence[Measured]) -> bool:
    """Whether the sides took turns, so that the i-th runs of both were neighbours in time, in either order."""
    pairs = list(zip(baseline, candidate, strict=False))
    began = [sorted(run.created for run in pair) for pair in pairs]
    apart = all(earlier[1] < later[0] for earlier, later in pairwise(began))
    return len(baseline) == len(candidate) > 1 and apart


def believable(
    baseline: Sequence[Measured], candidate: Sequence[Measured], pairs: bool
) -> tuple[Sequence[Measured], Sequence[Measured]]:
    """Runs that can be believed, of pairs where both can. Raises InputError when none is left on a side."""
    if pairs:
        whole = [pair for pair in zip(baseline, candidate, strict=True) if not any(run.verdict == "invalid" for run in pair)]
        kept: tuple[list[Measured], list[Measured]] = [pair[0] for pair in whole], [pair[1] for pair in whole]
    else:
        old, new = ([run for run in side if run.verdict != "invalid"] for side in (baseline, candidate))
        kept = old, new
    for name, side in zip(("baseline", "candidate"), kept, strict=True):
        if not side:
            raise InputError(f"nothing to compare: no run of the {name} is left whose verdict is not INVALID")
    return kept


def left_out(runs: Sequence[Measured]) -> Iterator[str]:
    """A note for each run that cannot be believed."""
    for run in runs:
        if run.verdict == "invalid":
            yield f"{run.run_id} is INVALID and left out"


def check_comparable(baseline: Sequence[Measured], candidate: Sequence[Measured], across: Sequence[str]) -> None:
    """Raises InputError when runs differ in what matters: within a side in anything, between both not in what is compared."""
    pairs = [(baseline[0], run, ()) for run in baseline[1:]] + [(candidate[0], run, ()) for run in candidate[1:]]
    for one, other, allowed in [*pairs, (baseline[0], candidate[0], tuple(across))]:
        found = differences(one, other, allowed)
        if found:
            raise InputError(f"not comparable: {differences_text(found)} ({one.run_id}, {other.run_id})")


def usable_history(
    history: Sequence[Sequence[Measured]], runs: Sequence[Measured], across: Sequence[str]
) -> list[list[Measured]]:
    """Runs of the history under the same conditions, without those that are compared now and those that cannot be believed."""
    known = {run.run_id for run in runs}

    def usable(run: Measured) -> bool:
        return run.verdict != "invalid" and run.run_id not in known and not differences(run, runs[0], across)

    return [[run for run in group if usable(run)] for group in history]


def crossed(one: Measured, other: Measured, across: Sequence[str]) -> Iterator[str]:
    """A note of what is compared: conditions that were allowed to differ, and do."""
    found = [difference for difference in differences(one, other) if difference[0] in across]
    if found:
        yield f"compared across {differences_text(found)}"


def shared_figures(baseline: Sequence[Measured], candidate: Sequence[Measured]) -> Iterator[str]:
    """Figures that both sides have, those that judge first."""
    old, new = ({figure: None for run in side for figure in run.values} for side in (baseline, candidate))
    yield from sorted((figure for figure in old if figure in new), key=lambda figure: not JUDGES.fullmatch(figure))


def missing_figures(baseline: Sequence[Measured], candidate: Sequence[Measured]) -> Iterator[str]:
    """Figures that judge and that only one side has."""
    old, new = ({figure for run in side for figure in run.values if JUDGES.fullmatch(figure)} for side in (baseline, candidate))
    for figures, side in ((old - new, "candidate"), (new - old, "baseline")):
        if figures:
            yield f"the {side} has no {', '.join(sorted(figures))}"


def commits_of(runs: Sequence[Measured]) -> str:
    """The builds of a side, each once."""
    return ", ".join(dict.fromkeys(run.commit or "no commit" for run in runs))
