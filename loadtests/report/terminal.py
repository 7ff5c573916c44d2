"""What the engineer at the terminal sees: progress while it runs, the verdict when it is over."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loadtests.measure.window import Window
from loadtests.objectives.evaluate import Result
from loadtests.report.verdict import Verdict
from loadtests.traffic.tokens import AUTH_SERIES
from loadtests.units import format_duration

STYLES = {"pass": "bold green", "fail": "bold red", "invalid": "bold yellow"}
PLAIN_EVERY_S = 5
SHOWN = {"lateness": "lateness p99", "cpu": "cpu", "loop_lag": "loop lag p99", "reconnects": "reconnects", "memory": "memory"}
"""Health checks whose figures are shown when all is well, and how they are called."""


class Progress:
    """A line that renews itself on a terminal, and a line every five seconds where there is none."""

    def __init__(self, console: Console, total_s: float) -> None:
        self._console, self._total_s = console, total_s
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None
        self._requests = self._failures = 0

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def status(self, text: str) -> None:
        """Something that is no window: a phase, a loss."""
        if self._live:
            self._live.update(Text(text, style="dim"))
        else:
            self._console.print(text, highlight=False, soft_wrap=True)

    def window(self, window: Window) -> None:
        """One more second is known."""
        whole = window.total(without=AUTH_SERIES)
        self._requests += whole.requests
        self._failures += whole.failed
        text = f"{self._line(window)}\n{generator_line(window)}"
        if self._live:
            self._live.update(Text(text))
        elif window.number % PLAIN_EVERY_S == PLAIN_EVERY_S - 1:
            self._console.print(text, highlight=False, soft_wrap=True)

    def _line(self, window: Window) -> str:
        whole = window.total(without=AUTH_SERIES)
        latency = "no answers"
        if whole.response_time.count:
            latency = " ".join(
                f"{name} {format_duration(whole.response_time.quantile(q) / 1e6)}"
                for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
            )
        phase = "drain" if window.number + 1 > self._total_s else f"{window.number + 1:,}/{self._total_s:g} s"
        return (
            f"{phase:>10}  users {window.users:,}  offered {window.counts.scheduled:,}/s  "
            f"achieved {whole.ok:,}/s  {latency}  failed {self._failures:,}/{self._requests:,}"
        )


def generator_line(window: Window) -> str:
    """How the workers themselves are: what they use, the worst of them where one figure is all there is room for."""
    workers = window.workers.values()
    late = format_duration(window.lateness.quantile(0.99) / 1e6) if window.lateness.count else "no turns"
    cpu, lag_us, rss = (max((getattr(one, name) for one in workers), default=0) for name in ("cpu", "loop_lag_us", "rss_bytes"))
    return (
        f"{'generator':>10}  late p99 {late}  cpu {cpu * 100:.0f} %  loop lag {format_duration(lag_us / 1e6)}  "
        f"sockets {window.sockets:,} ({window.counts.connections:,} new)  rss {rss / 1e6:,.0f} MB"
    )


def print_verdict(console: Console, verdict: Verdict, summary: dict[str, Any], folder: str) -> None:
    """Objectives, what is wrong with the generator if anything, and on the last line the verdict and the folder."""
    console.print()
    console.print(_table(verdict.objectives))
    unhealthy = [result for result in verdict.health if result.status == "fail"]
    for result in unhealthy:
        mark = ("INVALID", STYLES["invalid"])
        console.print(
            Text.assemble(mark, f"  {result.name}: {result.observed_text} (asked: {result.objective})"), soft_wrap=True
        )
    if not unhealthy:
        observed = {result.name: result.observed_text for result in verdict.health}
        generator = ", ".join(f"{words} {observed[name]}" for name, words in SHOWN.items())
        console.print(f"health: all {len(verdict.health)} checks passed ({generator})", style="dim", soft_wrap=True)
    for note in verdict.notes:
        console.print(f"note: {note}", highlight=False, soft_wrap=True)
    console.print(
        f"{summary['requests']:,} requests, {summary['failures']:,} failed, {summary['rate']:,.1f}/s answered",
        highlight=False,
    )
    console.print(Text.assemble(("VERDICT: " + verdict.word.upper(), STYLES[verdict.word]), f"  {folder}"), soft_wrap=True)


def _table(results: Sequence[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("objective", overflow="fold")
    table.add_column("asked", overflow="fold")
    table.add_column("observed", justify="right", overflow="fold")
    for result in results:
        mark = Text(result.status.upper(), style=STYLES[result.status])
        table.add_row(mark, result.name, result.objective, result.observed_text)
    return table
