"""What the engineer sees while it runs: a view that renews itself on a terminal, lines where there is none."""

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Result
from loadtests.report.course import Course, Figures, changes, stages_of
from loadtests.report.screen import Screen, State, generator_items, printable
from loadtests.scenario.plan import Plan
from loadtests.units import format_duration

PLAIN_EVERY_S = 5
REFRESHES_PER_S = 4
STATUSES = 4
"""Status lines that the view keeps."""


class Progress:
    """Shows one run. `spool_depth` says how many windows wait to be delivered, None without a sink.

    It is asked by the thread that draws the view, a few times a second, so it must be quick.
    """

    def __init__(self, console: Console, plan: Plan, spool_depth: Callable[[], int | None] = lambda: None) -> None:
        load = plan.scenario.load
        self._console, self._course, self._spool_depth = console, Course(plan), spool_depth
        self._state = State(
            scenario=plan.scenario.name,
            host=plan.scenario.target.host or "",
            stages=stages_of(plan),
            total_s=load.total_s,
            drain_s=load.drain,
            objectives=tuple(plan.parsed_objectives.values()),
        )
        self._live: Live | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, refresh_per_second=REFRESHES_PER_S, transient=True, get_renderable=self._screen)

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def target(self, host: str) -> None:
        """Where the load goes, once it is known."""
        self._state = replace(self._state, host=host)

    def status(self, text: str) -> None:
        """Something that is no window: a phase, a loss."""
        self._state = replace(self._state, statuses=(*self._state.statuses, text)[-STATUSES:])
        self._print(text)

    def halt(self) -> None:
        """The load ends before its time."""
        self._course.halt()
        self._state = replace(self._state, halted=True)

    def window(self, window: Window) -> None:
        """One more second is known."""
        before = self._state.figures
        figures = self._course.add(window)
        # What led to the load is of no interest in it; losses and interruptions that follow are.
        statuses = self._state.statuses if before else ()
        self._state = replace(self._state, figures=figures, statuses=statuses)
        began, recovered = changes(before.failing if before else (), figures)
        for word, results in (("failing", began), ("recovered", recovered)):
            for result in results:
                self._print(f"{word:>10}  {missed(result)}")
        if window.number % PLAIN_EVERY_S == PLAIN_EVERY_S - 1:
            self._print(f"{plain_line(figures, self._state.total_s)}\n{generator_line(window)}")

    def _screen(self) -> Screen:
        return Screen(replace(self._state, waiting=self._spool_depth()))

    def _print(self, lines: str) -> None:
        """Lines for a log; the view shows the same in its own way."""
        if not self._live:
            self._console.print(Text(lines), soft_wrap=True)


def missed(result: Result) -> str:
    """An objective and what is observed of it."""
    return f"{printable(result.name)}: {result.observed_text} (asked: {printable(result.objective)})"


def plain_line(figures: Figures, total_s: float) -> str:
    """A second of the load in one line."""
    window, total = figures.window, figures.total
    latency = " ".join(f"{name} {format_duration(value_s)}" for name, value_s in figures.latency_s.items()) or "no answers"
    phase = "drain" if window.number + 1 > total_s else f"{window.number + 1:,}/{total_s:g} s"
    return (
        f"{phase:>10}  users {window.users:,}  offered {window.counts.scheduled:,}/s  "
        f"achieved {total.ok:,}/s  {latency}  failed {figures.failures:,}/{figures.requests:,}"
    )


def generator_line(window: Window) -> str:
    """How the workers themselves are, in one line."""
    return f"{'generator':>10}  {'  '.join(generator_items(window))}"
