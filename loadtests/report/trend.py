"""Where the history of a suite's part changed: change points of the nights' medians, figure by figure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from loadtests.measure.changepoints import ChangePoint, change_points
from loadtests.report.comparable import JUDGES
from loadtests.store.history import Entry, nights
from loadtests.store.measured import Measured

LEAST_NIGHTS = 8
"""Fewer say nothing of where they changed."""
MOST_NIGHTS = 200
"""Those before them are not looked at any more: the search takes time with the square of them."""
LEAST_CHANGE = 0.05
"""What is smaller is not worth a line."""


@dataclass(frozen=True)
class Since:
    """A change of a figure, and the first night after it."""

    night: str
    before: float
    after: float
    relative: float | None
    """Change as a share of what it was; None where that was 0."""


def changes_of(entries: Iterable[Entry]) -> Mapping[str, Sequence[Since]]:
    """Changes by figure, of those that judge, each over the nights that have it."""
    by_night = [(night, [run for run in runs if run.verdict != "invalid"]) for night, runs in nights(entries)][-MOST_NIGHTS:]
    figures = sorted({name for _, runs in by_night for run in runs for name in run.values if JUDGES.fullmatch(name)})
    found = {}
    for figure in figures:
        medians = [(night, value) for night, runs in by_night if (value := _median(runs, figure)) is not None]
        if len(medians) >= LEAST_NIGHTS and (points := _since(medians)):
            found[figure] = points
    return found


def _since(medians: Sequence[tuple[str, float]]) -> list[Since]:
    changes = (one for one in change_points([value for _, value in medians]) if _matters(one))
    return [Since(medians[one.index][0], one.before, one.after, one.relative) for one in changes]


def _matters(change: ChangePoint) -> bool:
    return change.relative is None or abs(change.relative) >= LEAST_CHANGE


def _median(runs: Sequence[Measured], figure: str) -> float | None:
    values = [run.values[figure] for run in runs if figure in run.values]
    return median(values) if values else None
