import math
import re
from xml.etree import ElementTree

import pytest

from loadtests.report.chart import Axis, Line, Mark, chart
from loadtests.report.page import Section, note, page, paragraph, table
from loadtests.report.scale import Scale, linear_ticks, log_ticks, plain_number

X, Y = Axis("instances"), Axis("req/s", low=0)


def svg_of(figure: str) -> ElementTree.Element:
    """The drawing, parsed: a chart is well-formed."""
    found = ElementTree.fromstring(figure).find(".//svg")
    assert found is not None
    return found


def paths(figure: str, kind: str) -> list[str]:
    """What is drawn with this class."""
    return [one.get("d", "") for one in svg_of(figure).iter("path") if (one.get("class") or "").split()[0] == kind]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 4000, [0, 1000, 2000, 3000, 4000]),
        (3, 20, [0, 5, 10, 15, 20]),
        (-7, 12, [-10, -5, 0, 5, 10, 15]),
        (0.98, 1.01, [0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01]),
    ],
)
def test_linear_ticks(low: float, high: float, ticks: list[float]) -> None:
    """Ticks stand at 1-2-5 steps and enclose the values."""
    assert linear_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (3, 150, [2, 5, 10, 20, 50, 100, 200]),
        (0.001, 4, [0.001, 0.01, 0.1, 1, 10]),
        (1, 1e12, [1, 100, 1e4, 1e6, 1e8, 1e10, 1e12]),
    ],
)
def test_log_ticks(low: float, high: float, ticks: list[float]) -> None:
    """A logarithmic axis has 1-2-5 of each power of ten while there is room, then powers of ten, then every so many."""
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_scale_places_values() -> None:
    """A scale is linear in the value, or in its logarithm, and a single value has room on both sides."""
    assert Scale.over(0, 10, (100, 200), log=False, round_ends=True).place(5) == 150
    assert Scale.over(1, 100, (0, 200), log=True, round_ends=True).place(10) == pytest.approx(100)
    single = Scale.over(7, 7, (0, 100), log=False, round_ends=False)
    assert 0 < single.place(7) < 100
    assert not Scale.over(1, 100, (0, 1), log=True, round_ends=True).shows(0)


def test_number_without_noise() -> None:
    """A tick has no more digits than it needs."""
    assert [plain_number(value) for value in (0.1 + 0.2, 12_000, 1e-3, 0.0)] == ["0.3", "12,000", "0.001", "0"]


def test_line_with_gap() -> None:
    """A value that is not finite parts a line in two, and what a logarithmic axis cannot show is left out."""
    points = [(1.0, 1.0), (2.0, 2.0), (3.0, math.nan), (4.0, 0.0), (5.0, 5.0)]
    assert len(paths(chart("t", [Line("a", points)], X, Y), "line")) == 2
    assert paths(chart("t", [Line("a", points)], X, Axis("req/s", log=True)), "line")[1].count("L") == 0


def test_steps_and_band() -> None:
    """Steps hold their value until the next point; a band goes there on its lower and back on its upper side."""
    figure = chart("t", [Line("s", [(0, 3), (30, 8), (60, 16)], "steps"), Line("b", [(0, 1, 2), (60, 3, 5)], "band")], X, Y)
    assert re.fullmatch(r"M[\d. ]+(H[\d.]+V[\d.]+){2}", paths(figure, "steps")[0])
    assert re.fullmatch(r"M[\d. ]+(L[\d. ]+){3}Z", paths(figure, "band")[0])


def test_limit_within_the_chart() -> None:
    """A limit above all values widens the axis so that it is seen, with its text."""
    figure = chart("t", [Line("a", [(1, 10), (2, 20)])], X, Y, [Mark(200, "limit 200/s"), Mark(1.5, "deploy", "x")])
    (horizontal, vertical) = paths(figure, "mark")
    assert 0 <= float(horizontal.split("H")[0].split()[1]) < 100
    assert vertical.count("V") == 1
    assert {"limit 200/s", "deploy"} <= {text.text for text in svg_of(figure).iter("text")}


def test_nothing_can_break_out() -> None:
    """Texts are escaped wherever they stand."""
    bad = "<script>&\"'"
    lines = [Line(bad, [(1, 2), (2, 3)]), Line(bad, [(1, 2)], "dots", colour=bad)]
    figure = chart(bad, lines, Axis(bad, text=lambda _: bad), Axis(bad), [Mark(2, bad)], note=bad)
    html = page(bad, bad, [Section(bad, [paragraph(bad), note(bad), table([bad, "b"], [[bad, bad]]), figure])])
    assert "<script" not in html
    assert svg_of(figure).findtext("title") == bad


def test_described_for_who_cannot_see_it() -> None:
    """A chart has a title and tells what it draws."""
    svg = svg_of(chart("Scaling", [Line("fit", [(1, 955), (4, 3548)])], X, Y, [Mark(4000, "target")]))
    assert svg.get("role") == "img"
    assert svg.findtext("title") == "Scaling"
    assert svg.findtext("desc") == "req/s over instances. fit: 955 at 1, 3,548 at 4. target at 4,000."


def test_refuses_what_is_no_chart() -> None:
    """Nothing to draw and points of another shape are the caller's mistakes."""
    with pytest.raises(ValueError, match="nothing to draw along 'y'"):
        chart("t", [Line("a", [])], X, Axis("y"))
    with pytest.raises(ValueError, match="a point is"):
        chart("t", [Line("a", [(1, 2)], "band")], X, Y)
    with pytest.raises(ValueError, match="2 cells of a, b"):
        table(["a", "b"], [["1"]])


def test_page_asks_nothing_of_a_network() -> None:
    """A page forbids scripts and addresses, and refers to nothing outside of itself."""
    html = page("Title", "Lead", [Section("One", [table(["n", "rate", "word"], [["1", "1,000", "a"], ["2", "-5 %", "2b c"]])])])
    assert "default-src &#x27;none&#x27;" in html
    assert not re.findall(r"https?:|<script|@import|url\(", html)
    assert html.count('<th scope="col" class="n">rate</th>') == 1
