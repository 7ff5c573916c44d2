"""Ends a load that has failed already: objectives with `abort_on_fail`, judged each second over its last seconds.

Of what happens within `grace` nothing counts, so the first judgement comes `window` after it. An objective without data in
these seconds aborts nothing: a request that is rare may be missing for ten of them, and the verdict asks for it at the end.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from loadtests.measure.series import Series, merge_all
from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Facts, Result, evaluate
from loadtests.objectives.grammar import Objective
from loadtests.report.probed import Key
from loadtests.scenario.plan import Plan
from loadtests.scenario.schema import ObjectiveTable
from loadtests.store.folder import RunFolder, start_of
from loadtests.store.records import LineTail
from loadtests.traffic.tokens import AUTH_SERIES


@dataclass(frozen=True)
class Abort:
    """Why the load ends `at_s` seconds after its start; `result` is that of the last `window_s` seconds that are known."""

    result: Result
    window_s: int
    at_s: float

    def write(self, folder: RunFolder) -> None:
        """Note it among the run's events, from which the verdict takes it."""
        one = self.result
        details = {"objective": one.objective, "observed": one.observed, "observed_text": one.observed_text}
        folder.event("abort", self.at_s, name=one.name, **details, window_s=self.window_s)

    def __str__(self) -> str:
        one = self.result
        asked = f"{one.observed_text} over the last {self.window_s} s, asked: {one.objective}"
        return f"aborted {self.at_s:g} s into the load by {one.name}: {asked}; draining"


@dataclass(frozen=True)
class _Watched:
    name: str
    objective: Objective
    grace_s: int
    window_s: int


class AbortWatch:
    """Takes the windows of one run as they are sealed, and says when there is no use in going on."""

    def __init__(self, plan: Plan, folder: RunFolder, clock: Callable[[], float] = time.time) -> None:
        """`clock` is the wall's."""
        self._clock = clock
        self._watched = list(_watched(plan))
        self._total_s = plan.scenario.load.total_s
        self._steady_from_s, _ = plan.steady_seconds(self._total_s)
        longest_s = max((one.window_s for one in self._watched), default=0)
        self._windows: deque[Window] = deque(maxlen=longest_s)
        self._samples = _Samples(folder, longest_s)
        self._events = LineTail(folder.file("events.jsonl"))
        self._lost: dict[int, float] = {}
        """Lost workers, and from which second on others have their users."""

    def add(self, window: Window) -> Abort | None:
        """Take the next window; why the load should end now, if it should. One that is over already has nothing to end."""
        end_s = window.number + 1
        if not self._watched or end_s >= self._total_s or self._now_s() >= self._total_s:
            return None
        self._windows.append(window)
        self._samples.read(end_s)
        self._read_events()
        for one in self._watched:
            begin_s = end_s - one.window_s
            if begin_s < one.grace_s:
                continue
            result = evaluate(one.name, one.objective, self._facts(begin_s, end_s, one.objective), final=False)
            if result.status == "fail" and result.observed is not None:
                return Abort(result, one.window_s, round(self._now_s(), 1))
        return None

    def _read_events(self) -> None:
        for event in self._events.read():
            if event["event"] == "worker_lost":  # written before the windows that are sealed without it
                self._lost[event["worker"]] = math.inf
            elif event["event"] == "users_taken_over" and not event["users"]:  # nobody misses anybody
                self._lost.pop(event["worker"], None)
            elif event["event"] == "users_taken_over" and event["from_s"] is not None:
                self._lost[event["worker"]] = event["from_s"]

    def _whole(self, windows: Iterable[Window]) -> bool:
        """Whether all users were there; a lower rate without them is not the target's."""
        return not any(
            worker not in window.workers and window.number < from_s
            for window in windows
            for worker, from_s in self._lost.items()
        )

    def _now_s(self) -> float:
        """Seconds since the start of the load."""
        return self._clock() - self._samples.start_epoch

    def _facts(self, begin_s: int, end_s: int, objective: Objective) -> Facts:
        """What these seconds say. A rate has none before the load is at its full one, or while users are missing."""
        windows = [window for window in self._windows if window.number >= begin_s]
        series: dict[str, Series] = {}
        total = Series()
        for window in windows:
            merge_all(window.series, series)
            total.merge(window.total(without=AUTH_SERIES))
        # A request that nobody was answered has a rate: none.
        answered: dict[str | None, int] = {objective.selector: 0, **{name: one.ok for name, one in series.items()}}
        return Facts(
            series=series,
            total=total,
            steady_ok={**answered, None: total.ok},
            steady_s=float(len(windows)) if begin_s >= self._steady_from_s and self._whole(windows) else 0.0,
            gauges={("users", None): [float(window.users) for window in windows], **self._samples.between(begin_s, end_s)},
        )


class _Samples:
    """The probes' newest samples, of as many seconds as anybody asks for."""

    def __init__(self, folder: RunFolder, keep_s: int) -> None:
        self._folder, self._keep_s = folder, keep_s
        self._tail = LineTail(folder.file("probes.jsonl"))
        self._found: deque[tuple[float, Key, float]] = deque()

    @cached_property
    def start_epoch(self) -> float:
        """The start of the load, which is known when there are windows."""
        start = start_of(self._folder)
        assert start is not None, "asked only with a window"
        return start

    def read(self, end_s: int) -> None:
        """Take what has been written since, and forget what is older than is asked for at `end_s`."""
        for record in self._tail.read():
            at_s = record["time"] - self.start_epoch
            self._found.extend((at_s, (metric, selector), value) for metric, selector, value in record["samples"])
        self._found = deque(sample for sample in self._found if sample[0] >= end_s - self._keep_s)

    def between(self, begin_s: int, end_s: int) -> Mapping[Key, Sequence[float]]:
        """Values by metric and selector, of the rounds that began in these seconds."""
        found: dict[Key, list[float]] = {}
        for at_s, key, value in self._found:
            if begin_s <= at_s < end_s:
                found.setdefault(key, []).append(value)
        return found


def _watched(plan: Plan) -> Iterator[_Watched]:
    """Windows are whole seconds, so grace and window are rounded up to such."""
    for name, table in plan.scenario.objectives.items():
        if isinstance(table, ObjectiveTable) and table.abort_on_fail:
            yield _Watched(name, plan.parsed_objectives[name], math.ceil(table.grace), math.ceil(table.window))
