"""Where the history of a suite's part changed: change points of the nights' medians, figure by figure."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from loadtests.measure.changepoints import ChangePoint, change_points
from loadtests.report.compare import JUDGES
from loadtests.store.history import Entry, nights
from loadtests.store.measured import Measured

LEAST_NIGHTS = 8
"""Fewer say nothing of where they changed."""
LEAST_CHANGE = 0.05
"""What is smaller is not worth a line."""


def changes_of(entries: Iterable[Entry]) -> tuple[Mapping[str, Sequence[ChangePoint]], Sequence[str]]:
    """Change points by figure, of those that judge, and the nights that their indices count."""
    by_night = [(night, [run for run in runs if run.verdict != "invalid"]) for night, runs in nights(entries)]
    believed = [(night, runs) for night, runs in by_night if runs]
    if len(believed) < LEAST_NIGHTS:
        return {}, ()
    figures = sorted({name for _, runs in believed for run in runs for name in run.values if JUDGES.fullmatch(name)})
    found = {}
    for figure in figures:
        medians = [_median(runs, figure) for _, runs in believed]
        if None not in medians:
            points = [one for one in change_points([one or 0.0 for one in medians]) if _matters(one)]
            if points:
                found[figure] = points
    return found, [night for night, _ in believed]


def _matters(change: ChangePoint) -> bool:
    return change.relative is None or abs(change.relative) >= LEAST_CHANGE


def _median(runs: Sequence[Measured], figure: str) -> float | None:
    values = [run.values[figure] for run in runs if figure in run.values]
    return median(values) if values else None
