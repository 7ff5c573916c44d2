"""What a comparison comes to, in words and tables: Markdown for a pull request, a table for the terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtests.report.compare import Comparison, Flag, Row
from loadtests.report.markdown import plain
from loadtests.report.screen import printable
from loadtests.units import format_duration, format_size, percent, significant

HEADS = ("figure", "baseline", "candidate", "change", "interval", "noise")
WORDS: dict[Flag, str] = {"regression": "REGRESSION", "improvement": "improvement", "suspect": "suspect", "none": ""}
STYLES: dict[Flag, str] = {"regression": "bold red", "improvement": "green", "suspect": "yellow", "none": ""}
DURATIONS = ("service_time", "response_time", "task_", "cpu_per_request", "generator_cpu", "duration")
SIZES = ("memory", "redis_memory")
MOST_NAMED = 3
ADJUSTED = " *"


def headline(comparison: Comparison) -> str:
    """The verdict in one line."""
    regressions, suspects = comparison.regressions, comparison.suspects
    if regressions:
        return f"REGRESSION: {comparison.scenario}: {_named(regressions)}"
    if suspects:
        return f"NO REGRESSION KNOWN: {comparison.scenario}: suspect are {_named(suspects)}; more runs, or a history, decide it"
    if not comparison.noise_known:
        return f"NO REGRESSION KNOWN: {comparison.scenario}: one run a side can show none"
    better = f"; better: {_named(comparison.improvements)}" if comparison.improvements else ""
    return f"NO REGRESSION: {comparison.scenario}{better}"


def basis(comparison: Comparison) -> Iterator[str]:
    """What the verdict rests on: the builds and their runs, and how sure it is."""
    sides = zip(("baseline", "candidate"), comparison.commits, (comparison.baseline, comparison.candidate), strict=True)
    yield "; ".join(f"{name}: {commit}, {_runs(len(runs))}" for name, commit, runs in sides)
    if not comparison.noise_known:
        yield (
            "One run a side and no history: how far runs of one build lie apart is not known, so nothing is flagged. "
            "Intervals say what chance does within a run, which is less."
        )
        return
    how = "run in turns and compared in pairs" if comparison.pairs else "compared as two groups"
    yield (
        f"{how[0].upper()}{how[1:]}. Flagged is a change of {percent(comparison.least_effect)} or more whose interval "
        f"({percent(comparison.level)}) leaves out none, and that is above the noise (what equal builds differ by, 95 %)"
    )
    if any(row.slope is not None for row in comparison.rows):
        yield f"{ADJUSTED.strip()}: less what the machine's speed made of it, as the generator's own CPU tells it"


def cells(row: Row) -> tuple[str, ...]:
    """The texts of a row, as HEADS names them."""
    return (
        row.figure,
        value_text(row.figure, row.baseline),
        value_text(row.figure, row.candidate),
        _change(row, row.effect) + (ADJUSTED if row.slope is not None else ""),
        "not known" if row.low is None or row.high is None else f"{_change(row, row.low)} to {_change(row, row.high)}",
        "not known" if row.noise is None else _change(row, row.noise).replace("+", "±"),
    )


def value_text(figure: str, value: float) -> str:
    """A figure's value with its unit."""
    if figure.startswith(DURATIONS):
        return format_duration(value)
    if figure.startswith(SIZES):
        return format_size(value)
    if figure in ("failure_ratio", "achieved"):
        return percent(value)
    return significant(value) + ("/s" if figure == "rate" else "")


def markdown(comparison: Comparison) -> str:
    """For a comment on a pull request: the verdict, what is flagged, and the rest folded away."""
    flagged, rest = _parted(comparison)
    lines = [f"## {plain(headline(comparison))}", ""]
    lines += [plain(line) + "  " for line in basis(comparison)] + [""]
    if flagged:
        lines += [*_markdown_table(flagged), ""]
    lines += [
        f"<details><summary>{len(rest)} figures without a finding</summary>",
        "",
        *_markdown_table(rest),
        "",
        "</details>",
        "",
    ]
    lines += [f"> {plain(note)}" for note in comparison.notes]
    return "\n".join(lines).rstrip() + "\n"


def print_comparison(console: Console, comparison: Comparison) -> None:
    """A table of what judges and of what is flagged, and the verdict on the last line."""
    flagged, rest = _parted(comparison)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for head in HEADS:
        table.add_column(head, justify="left" if head == "figure" else "right", no_wrap=head == "figure")
    for row in (*flagged, *(row for row in rest if row.judges)):
        table.add_row(Text(WORDS[row.flag], style=STYLES[row.flag]), *(Text(printable(cell)) for cell in cells(row)))
    console.print(table)
    for line in (*basis(comparison), *(f"note: {note}" for note in comparison.notes)):
        console.print(Text(printable(line)), soft_wrap=True)
    style = STYLES["regression" if comparison.regressions else "suspect" if comparison.suspects else "improvement"]
    console.print(Text(printable(headline(comparison)), style=style), soft_wrap=True)


def _parted(comparison: Comparison) -> tuple[list[Row], list[Row]]:
    """What is flagged, regressions first and the largest of them before all, and the rest as it was."""
    order: Sequence[Flag] = ("regression", "suspect", "improvement")
    flagged = [row for flag in order for row in sorted(comparison.rows, key=lambda row: -abs(row.effect)) if row.flag == flag]
    return flagged, [row for row in comparison.rows if row.flag == "none"]


def _markdown_table(rows: Sequence[Row]) -> Iterator[str]:
    yield f"| | {' | '.join(HEADS)} |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for row in rows:
        word = "**REGRESSION**" if row.flag == "regression" else WORDS[row.flag]
        yield f"| {word or ('judged' if row.judges else '')} | {' | '.join(plain(cell) for cell in cells(row))} |"


def _named(rows: Sequence[Row]) -> str:
    ordered = sorted(rows, key=lambda row: -abs(row.effect))
    more = f" and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    return ", ".join(f"{row.figure} {_change(row, row.effect)}" for row in ordered[:MOST_NAMED]) + more


def _change(row: Row, value: float) -> str:
    """Shares of the baseline in %, differences of a ratio in points of a percent; with their sign."""
    return f"{value * 100:+.1f} %" if row.relative else f"{value * 100:+.2f} points"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"
