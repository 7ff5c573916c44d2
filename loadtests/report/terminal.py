"""What the engineer at the terminal sees when it is over: the verdict."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.objectives.evaluate import Result
from loadtests.report.authentication import authentication_line
from loadtests.report.rows import answered, fault_lines, troubled_tasks
from loadtests.report.screen import printable
from loadtests.report.verdict import Verdict

STYLES = {"pass": "bold green", "fail": "bold red", "invalid": "bold yellow"}
SOURCES_FROM = 120
"""Least width of a terminal on which each line says where its number came from; everywhere else report.html does."""
SHOWN = {"lateness": "lateness p99", "cpu": "cpu", "loop_lag": "loop lag p99", "reconnects": "reconnects", "memory": "memory"}
"""Health checks whose figures are shown when all is well, and how they are called."""


def print_verdict(console: Console, verdict: Verdict, summary: dict[str, Any], folder: str) -> None:
    """Objectives, what is wrong with the generator if anything, and on the last line the verdict and the folder."""
    console.print()
    console.print(_table(verdict.objectives, with_sources=console.width >= SOURCES_FROM))
    tasks = troubled_tasks(verdict, summary)
    if tasks is not None:
        console.print(Text(printable(tasks)), soft_wrap=True)
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
    for line in fault_lines(summary):
        console.print(Text(printable(line)), soft_wrap=True)
    for note in verdict.notes:
        console.print(Text(f"note: {printable(note)}"), soft_wrap=True)
    counted = f"{summary['requests']:,} requests, {summary['failures']:,} failed"
    console.print(f"{counted}, {answered(summary)}", highlight=False, soft_wrap=True)
    authentication = authentication_line(summary)
    if authentication is not None:
        console.print(f"apart from them: {authentication}", highlight=False, soft_wrap=True)
    console.print(Text.assemble(("VERDICT: " + verdict.word.upper(), STYLES[verdict.word]), f"  {folder}"), soft_wrap=True)


def _table(results: Sequence[Result], with_sources: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("objective", overflow="fold")
    table.add_column("asked", overflow="fold")
    table.add_column("observed", justify="right", overflow="fold")
    if with_sources:
        table.add_column("source", style="dim", overflow="fold")
    for result in results:
        mark = Text(result.status.upper() + result.mark, style=STYLES[result.status])
        texts = [result.name, result.objective, result.observed_text, *([result.source] if with_sources else [])]
        table.add_row(mark, *(Text(printable(text)) for text in texts))
    return table
