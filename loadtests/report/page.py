"""A page that is one file and opens offline: headings, paragraphs, tables and charts, without any script."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What the page may do: style itself, and ask nothing of any network."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: HTML made by `paragraph`, `note`, `table` and `chart`."""

    heading: str
    parts: Sequence[str]


def page(title: str, lead: str, sections: Iterable[Section]) -> str:
    """The whole file as text."""
    style = files("loadtests.report").joinpath("report.css").read_text(encoding="utf-8")
    body = "".join(f"<section>\n<h2>{escape(one.heading)}</h2>\n{chr(10).join(one.parts)}\n</section>\n" for one in sections)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>
{style}
</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="lead">{escape(lead)}</p>
</header>
{body}</body>
</html>
"""


def paragraph(text: str) -> str:
    """Plain text."""
    return f"<p>{escape(text)}</p>"


def note(text: str) -> str:
    """Plain text that must not be overlooked."""
    return f'<p class="note">{escape(text)}</p>'


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Cells are text, their first column is the row's name; columns of nothing but numbers stand to the right.

    Raises ValueError for a row that is not as long as the header.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(f"a row has not the {len(header)} cells of {', '.join(header)}")
    classes = [' class="n"' if index and _numeric(row[index] for row in cells) else "" for index in range(len(header))]
    head = "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(header, classes, strict=True))
    body = "".join(f"<tr>{_row(row, classes)}</tr>\n" for row in cells)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>'


def _row(row: Sequence[str], classes: Sequence[str]) -> str:
    named = "" if not row else f'<th scope="row">{escape(row[0])}</th>'
    return named + "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row[1:], classes[1:], strict=True))


def _numeric(cells: Iterable[str]) -> bool:
    """Whether every cell begins with a digit, after its sign, or is empty."""
    return all(not cell or cell.lstrip("-+±<>≤≥ ")[:1].isdigit() for cell in cells)
