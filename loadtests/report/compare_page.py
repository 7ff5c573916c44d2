"""A comparison as a page: the verdict, the intervals of what judges as a chart, and every figure."""

from collections.abc import Sequence

from loadtests.report.chart import Axis, Line, Mark, chart
from loadtests.report.compare import Comparison, Row
from loadtests.report.compare_text import HEADS, WORDS, basis, cells, headline
from loadtests.report.page import Section, note, page, paragraph, table


def compare_page(comparison: Comparison) -> str:
    """The whole file as HTML."""
    flagged = [row for row in comparison.rows if row.flag != "none"]
    judging = [row for row in comparison.rows if row.judges]
    shown = [row for row in comparison.rows if not row.judges]
    sections = [
        Section(
            "What it rests on", [paragraph(line) for line in basis(comparison)] + [note(text) for text in comparison.notes]
        ),
        Section("Flagged", [_table(flagged) if flagged else paragraph("Nothing.")]),
        Section("Figures that judge", [*_chart(judging), _table(judging)]),
        Section("Figures that are shown only", [_table(shown)]),
    ]
    return page(f"Comparison: {comparison.scenario}", headline(comparison), sections)


def _table(rows: Sequence[Row]) -> str:
    return table((*HEADS, ""), [(*cells(row), WORDS[row.flag]) for row in rows])


def _chart(rows: Sequence[Row]) -> list[str]:
    """Effects with their intervals side by side; none where no interval is known."""
    known = [(row, row.low, row.high) for row in rows if row.relative and row.low is not None and row.high is not None]
    if not known:
        return []
    lines = [Line(row.figure, [(place, low), (place, high)]) for place, (row, low, high) in enumerate(known, start=1)]
    effects = Line("change", [(place, row.effect) for place, (row, _, _) in enumerate(known, start=1)], "dots", colour="k0")
    x = Axis("figure", text=lambda value: f"{value:g}", low=0.5, high=len(known) + 0.5, ticks=range(1, len(known) + 1))
    y = Axis("candidate against baseline", text=lambda value: f"{value:+.0%}")
    return [chart("Changes and their intervals", [*lines, effects], x, y, [Mark(0.0, "no change", colour="pass")])]
