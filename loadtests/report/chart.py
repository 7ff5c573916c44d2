"""A chart as a figure with inline SVG: no script, so it can be read offline, printed, and under a policy that forbids both.

Colours are the variables of `report.css`, so a chart is light or dark as its page is.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Literal

from loadtests.report.scale import Scale, plain_number

WIDTH, HEIGHT = 960, 340
TOP, BOTTOM, RIGHT = 12, 46, 16
CHARACTER = 7
"""Width of a digit of a label, roughly."""
COLOURS = ("k3", "k7", "k4", "k2", "k5", "k1", "k6", "k0")
"""Variables of `report.css`, in the order of the lines; red last, as limits are red."""
Kind = Literal["line", "dots", "steps", "band"]


@dataclass(frozen=True)
class Axis:
    """What one axis shows.

    It reaches over all points and marks, to `low` and `high` where they are given, and the vertical one to round values.
    `text` writes a value of a tick with its unit. `ticks` replaces the ticks at 1-2-5 steps. A logarithmic axis leaves out
    what is not above zero.
    """

    label: str
    log: bool = False
    text: Callable[[float], str] = plain_number
    low: float | None = None
    high: float | None = None
    ticks: Sequence[float] | None = None


@dataclass(frozen=True)
class Line:
    """A named row of points (x, y), for a band (x, lowest, highest); what is not finite in it leaves a gap.

    Of "steps" each value holds until the next point. `colour` is a variable of `report.css`, the next free one by default.
    """

    name: str
    points: Sequence[tuple[float, ...]]
    kind: Kind = "line"
    dashed: bool = False
    colour: str | None = None


@dataclass(frozen=True)
class Mark:
    """A limit or a moment: a labelled line through the whole chart at `at` of the axis "y" (horizontal) or "x"."""

    at: float
    text: str
    axis: Literal["x", "y"] = "y"
    colour: str = "fail"


def chart(title: str, lines: Sequence[Line], x: Axis, y: Axis, marks: Sequence[Mark] = (), note: str = "") -> str:
    """The figure as HTML. Raises ValueError if there is nothing to draw, or a band's point has not three values."""
    if any(len(point) != (3 if line.kind == "band" else 2) for line in lines for point in line.points):
        raise ValueError(f"{title}: a point is (x, y), of a band (x, lowest, highest)")
    values_x = [point[0] for line in lines for point in line.points] + [mark.at for mark in marks if mark.axis == "x"]
    values_y = [value for line in lines for point in line.points for value in point[1:]]
    values_y += [mark.at for mark in marks if mark.axis == "y"]
    scale_y = _scale(y, values_y, (HEIGHT - BOTTOM, TOP), round_ends=True)
    left = 30 + CHARACTER * max((len(y.text(tick)) for tick in scale_y.ticks), default=1)
    right = WIDTH - max(RIGHT, CHARACTER * len(x.text(max(values_x, default=0))) / 2)
    plane = _Plane(_scale(x, values_x, (left, right), round_ends=False), scale_y, x, y)
    coloured = [(line, line.colour or COLOURS[index % len(COLOURS)]) for index, line in enumerate(lines)]
    drawn = [*plane.grid(), *(part for line, colour in coloured for part in plane.line(line, colour)), *plane.marks(marks)]
    told = f"<p>{escape(note)}</p>" if note else ""
    return (
        f"<figure><figcaption><h3>{escape(title)}</h3>{told}{_legend(coloured)}</figcaption>"
        f'<div class="wide"><svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(title)}</title>'
        f"<desc>{escape(_description(lines, x, y, marks))}</desc>{''.join(drawn)}</svg></div></figure>"
    )


def _scale(axis: Axis, values: Iterable[float], place: tuple[float, float], round_ends: bool) -> Scale:
    """Over all values that the axis can show."""
    limits = (limit for limit in (axis.low, axis.high) if limit is not None)
    shown = [value for value in (*values, *limits) if math.isfinite(value) and (value > 0 or not axis.log)]
    if not shown:
        raise ValueError(f"nothing to draw along {axis.label!r}")
    return Scale.over(min(shown), max(shown), place, axis.log, round_ends, axis.ticks)


def _description(lines: Sequence[Line], x: Axis, y: Axis, marks: Sequence[Mark]) -> str:
    """For who cannot see the chart: what is drawn, from where to where."""
    parts = [f"{y.label} over {x.label}."]
    for line in lines:
        shown = [point for point in line.points if all(map(math.isfinite, point))]
        ends = ", ".join(
            f"{'to '.join(f'{y.text(value)} ' for value in point[1:])}at {x.text(point[0])}"
            for point in (shown[:1] + shown[-1:] if len(shown) > 1 else shown)
        )
        parts.append(f"{line.name}: {ends or 'no data'}.")
    parts += [f"{mark.text} at {(y if mark.axis == 'y' else x).text(mark.at)}." for mark in marks]
    return " ".join(parts)


def _legend(coloured: Sequence[tuple[Line, str]]) -> str:
    items = (f"<li {_style(line, colour)}>{escape(line.name)}</li>" for line, colour in coloured)
    return f'<ul class="legend">{"".join(items)}</ul>'


@dataclass(frozen=True)
class _Plane:
    """Two scales and what is drawn between them."""

    horizontal: Scale
    vertical: Scale
    x: Axis
    y: Axis

    def grid(self) -> Iterator[str]:
        """Ticks with their lines and labels, and the axes' names."""
        left, right = self.horizontal.start, self.horizontal.end
        bottom, top = self.vertical.start, self.vertical.end
        for tick in self.vertical.ticks:
            at = self.vertical.place(tick)
            yield f'<path class="grid-line" d="M{left:.1f} {at:.1f}H{right:.1f}"/>'
            yield _label(left - 8, at + 4, self.y.text(tick), "end")
        for tick in self.horizontal.ticks:
            at = self.horizontal.place(tick)
            yield f'<path class="grid-line" d="M{at:.1f} {bottom:.1f}V{top:.1f}"/>'
            yield _label(at, bottom + 18, self.x.text(tick), "middle")
        yield f'<path class="axis" d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}"/>'
        yield _label((left + right) / 2, HEIGHT - 8, self.x.label, "middle")
        middle = (top + bottom) / 2
        yield _label(14, middle, self.y.label, "middle", f' transform="rotate(-90 14 {middle:.1f})"')

    def line(self, line: Line, colour: str) -> Iterator[str]:
        """Its shapes: one for each piece without a gap, or one for each dot."""
        style = _style(line, colour)
        for piece in self._pieces(line.points):
            if line.kind == "dots":
                yield from (self._dot(line, point, style) for point in piece)
            else:
                yield f'<path {style} d="{self._path(line.kind, piece)}"/>'

    def marks(self, marks: Sequence[Mark]) -> Iterator[str]:
        """Limits and moments, each with its text beside it."""
        for mark in marks:
            style = f'class="mark" style="--c:var(--{escape(mark.colour)})"'
            if mark.axis == "y":
                at = self.vertical.place(mark.at)
                yield f'<path {style} d="M{self.horizontal.start:.1f} {at:.1f}H{self.horizontal.end:.1f}"/>'
                above = at - 5 if at > TOP + 16 else at + 15
                yield _label(self.horizontal.end - 4, above, mark.text, "end", f" {style}")
            else:
                at = self.horizontal.place(mark.at)
                yield f'<path {style} d="M{at:.1f} {self.vertical.start:.1f}V{self.vertical.end:.1f}"/>'
                late = at > (self.horizontal.start + self.horizontal.end) / 2
                yield _label(at + (-5 if late else 5), TOP + 11, mark.text, "end" if late else "start", f" {style}")

    def _pieces(self, points: Sequence[tuple[float, ...]]) -> Iterator[list[tuple[float, ...]]]:
        """Runs of points that both axes can show."""

        def shown(point: tuple[float, ...]) -> bool:
            return self.horizontal.shows(point[0]) and all(self.vertical.shows(value) for value in point[1:])

        return (list(piece) for fits, piece in groupby(points, shown) if fits)

    def _path(self, kind: Kind, piece: Sequence[tuple[float, ...]]) -> str:
        across = [self.horizontal.place(point[0]) for point in piece]
        first = [self.vertical.place(point[1]) for point in piece]
        if kind == "band":
            last = [self.vertical.place(point[2]) for point in piece]
            corners = [*zip(across, first, strict=True), *reversed(list(zip(across, last, strict=True)))]
            return "M" + "L".join(f"{left:.1f} {up:.1f}" for left, up in corners) + "Z"
        if kind == "steps":
            moves = "".join(f"H{left:.1f}V{up:.1f}" for left, up in zip(across[1:], first[1:], strict=True))
            return f"M{across[0]:.1f} {first[0]:.1f}{moves}"
        return "M" + "L".join(f"{left:.1f} {up:.1f}" for left, up in zip(across, first, strict=True))

    def _dot(self, line: Line, point: tuple[float, ...], style: str) -> str:
        told = escape(f"{line.name}: {self.y.text(point[1])} at {self.x.text(point[0])}")
        at = f'cx="{self.horizontal.place(point[0]):.1f}" cy="{self.vertical.place(point[1]):.1f}"'
        return f'<circle {style} {at} r="4"><title>{told}</title></circle>'


def _style(line: Line, colour: str) -> str:
    return f'class="{line.kind}{" dashed" if line.dashed else ""}" style="--c:var(--{escape(colour)})"'


def _label(across: float, down: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{across:.1f}" y="{down:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
