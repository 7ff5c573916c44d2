"""The live view as text: a pure function of a state and a width."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.text import Text

from loadtests.measure.window import Window
from loadtests.objectives.grammar import Objective
from loadtests.report.course import Figures, Stage
from loadtests.units import format_duration

LABEL = 10
INDENT = LABEL + 2
WIDEST = 100
"""Cells of the progress bar, however wide the terminal is."""
BARS = "▁▂▃▄▅▆▇█"
DONE, TO_COME, BORDER_DONE, BORDER_TO_COME = "━", "─", "╋", "┼"
ASCII = str.maketrans(BARS + DONE + TO_COME + BORDER_DONE + BORDER_TO_COME + "…", "_.:-=+*#" + "=-" + "||" + "~")
MOST_FAILING = 6
"""Failing objectives that are named."""


@dataclass(frozen=True)
class State:
    """All that the view shows."""

    scenario: str
    host: str
    """Empty until it is known."""
    stages: tuple[Stage, ...]
    total_s: float
    drain_s: float
    objectives: tuple[Objective, ...]
    figures: Figures | None = None
    """None before the first window."""
    statuses: tuple[str, ...] = ()
    halted: bool = False
    waiting: int | None = None
    """Windows that a sink has yet to deliver; None without one."""


@dataclass(frozen=True)
class Screen:
    """The view, as wide as the terminal that it is drawn on."""

    state: State

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        for line in draw(self.state, options.max_width):
            if options.ascii_only:
                line.plain = line.plain.translate(ASCII).encode("ascii", "replace").decode()
            yield line


def draw(state: State, width: int) -> Iterator[Text]:
    """The lines of the view, none wider than `width` cells."""
    for line in _lines(state, width):
        line.truncate(width, overflow="ellipsis")
        yield line


def _lines(state: State, width: int) -> Iterator[Text]:
    yield Text.assemble((state.scenario, "bold"), f"  {printable(state.host)}")
    figures = state.figures
    if figures is not None:
        yield from _course(state, figures.window.number + 1, min(width, WIDEST))
        yield from _rate(figures, _asked(state, "rate", None), width)
        yield from _latency(figures, _asked(state, "response_time", "p95"), width)
        yield from _packed("load", _load_items(figures), width)
        yield from _packed("generator", generator_items(figures.window), width)
        yield from _failing(figures)
    if state.waiting is not None:
        yield Text(f"spool: {state.waiting:,} windows waiting")
    for text in state.statuses:
        yield Text(printable(text), style="dim")


# Where the load is.


def _course(state: State, elapsed_s: int, width: int) -> Iterator[Text]:
    left = _stage(state, elapsed_s)
    right = f"{_seconds(min(elapsed_s, state.total_s))}/{_seconds(state.total_s)} s"
    yield Text(f"{left}{right:>{max(0, width - len(left))}}")
    yield _bar(state, elapsed_s, width)


def _stage(state: State, elapsed_s: int) -> str:
    """The current stage, its seconds and its length."""
    if elapsed_s > state.total_s:
        return f"drain {_seconds(elapsed_s - state.total_s)}/{_seconds(state.drain_s)} s at most  "
    if state.halted:
        return "stopped early, draining  "
    number = max(index for index, stage in enumerate(state.stages) if stage.begin_s <= elapsed_s - 1)
    stage = state.stages[number]
    of_all = f" (stage {number + 1} of {len(state.stages)})" if len(state.stages) > 2 else ""
    done_s, length_s = min(elapsed_s, stage.end_s) - stage.begin_s, stage.end_s - stage.begin_s
    return f"{stage.name} {_seconds(done_s)}/{_seconds(length_s)} s{of_all}  "


def _bar(state: State, elapsed_s: int, width: int) -> Text:
    """The whole load, with a mark where a stage ends; with more stages than can be told apart, without."""
    per_cell_s = state.total_s / width
    marked = state.stages[:-1] if len(state.stages) <= width // 4 else ()
    borders = {int(stage.end_s / per_cell_s) for stage in marked}
    done = min(width, int(elapsed_s / per_cell_s))
    cells = "".join(
        (BORDER_DONE if cell in borders else DONE) if cell < done else (BORDER_TO_COME if cell in borders else TO_COME)
        for cell in range(width)
    )
    return Text.assemble((cells[:done], "cyan"), (cells[done:], "dim"))


def _seconds(value: float) -> str:
    return f"{round(value, 1):,.10g}"


# What it does.


def _rate(figures: Figures, asked: Objective | None, width: int) -> Iterator[Text]:
    points = figures.history
    missed = [asked is not None and point.steady and not asked.holds(point.achieved) for point in points]
    text = Text.assemble(f"{'achieved':>{LABEL}}  ", (f"{points[-1].achieved:,}/s", _style(missed[-1])))
    text.append(f"  of {figures.window.counts.scheduled:,}/s offered")
    yield text.append(_limit(asked))
    yield _sparkline([point.achieved for point in points], missed, width)


def _latency(figures: Figures, asked: Objective | None, width: int) -> Iterator[Text]:
    points, shown = figures.history, {name: format_duration(value_s) for name, value_s in figures.latency_s.items()}
    missed = [asked is not None and point.p95_s is not None and not asked.holds(point.p95_s) for point in points]
    text = Text.assemble(f"{'p95':>{LABEL}}  ", (shown.pop("p95", "no answers"), _style(missed[-1])))
    text.append("".join(f"  {name} {value}" for name, value in shown.items()))
    yield text.append(_limit(asked))
    yield _sparkline([point.p95_s for point in points], missed, width)


def _asked(state: State, metric: str, statistic: str | None) -> Objective | None:
    """The objective that asks this of all requests together."""
    for one in state.objectives:
        if (one.metric.name, one.selector, one.statistic) == (metric, None, statistic):
            return one
    return None


def _limit(asked: Objective | None) -> str:
    return "" if asked is None else f"  asked {asked.comparison} {asked.format_value(asked.threshold)}"


def _sparkline(values: Sequence[float | None], missed: Sequence[bool], width: int) -> Text:
    """The newest values that there is room for, on a scale from 0 to the largest; a gap for None."""
    room = max(0, width - INDENT)
    values, missed = values[-room:], missed[-room:]
    largest = max((value for value in values if value), default=1.0)
    line = Text(" " * INDENT)
    for value, bad in zip(values, missed, strict=True):
        bar = " " if value is None else BARS[round(value / largest * (len(BARS) - 1))]
        line.append(bar, "red" if bad else "cyan")
    return line


def _load_items(figures: Figures) -> list[str]:
    in_flight = sum(gauges.in_flight for gauges in figures.window.workers.values())
    failed = f"failed {figures.failures:,}/{figures.requests:,}"
    return [f"users {figures.window.users:,}", f"in flight {in_flight:,}", failed]


def generator_items(window: Window) -> list[str]:
    """How the workers themselves are: what they use, the worst of them where one figure is all there is room for."""
    workers = window.workers.values()
    late = format_duration(window.lateness.quantile(0.99) / 1e6) if window.lateness.count else "no turns"
    cpu, lag_us, rss = (max((getattr(one, name) for one in workers), default=0) for name in ("cpu", "loop_lag_us", "rss_bytes"))
    return [
        f"late p99 {late}",
        f"cpu {cpu * 100:.0f} %",
        f"loop lag {format_duration(lag_us / 1e6)}",
        f"sockets {window.sockets:,} ({window.counts.connections:,} new)",
        f"rss {rss / 1e6:,.0f} MB",
    ]


def _failing(figures: Figures) -> Iterator[Text]:
    """Objectives that are missed now; what is observed comes first, for a name may be long."""
    for result in figures.failing[:MOST_FAILING]:
        yield Text(f"{'FAILING':>{LABEL}}  {result.observed_text}  {printable(result.name)}: {result.objective}", "bold red")
    if len(figures.failing) > MOST_FAILING:
        yield Text(f"{'':{INDENT}}and {len(figures.failing) - MOST_FAILING} more", "bold red")


# Words.


def _packed(label: str, items: Sequence[str], width: int) -> Iterator[Text]:
    """A label and its items, on as many lines as they need."""
    line = f"{label:>{LABEL}}"
    for item in items:
        if len(line) > INDENT and len(line) + 2 + len(item) > width:
            yield Text(line)
            line = " " * LABEL
        line += f"  {item}"
    yield Text(line)


def _style(missed: bool) -> str:
    return "bold red" if missed else "bold"


def printable(text: str) -> str:
    """`text` without the characters that would move a terminal's cursor or change its colours."""
    return "".join(character if character.isprintable() else "?" for character in text)
