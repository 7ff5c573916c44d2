"""`report.html` in a real browser: every chart is drawn, on any screen, and nothing complains."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.report.write import write_report
from tests.browser import Browser, program, running_browser
from tests.conftest import missing
from tests.unit.rich_run import GAUGES, rich_run
from tests.unit.runs import SyntheticRun

CHARTS = 10 + len(GAUGES)
"""Of the rich run: five of rate and latency, two of users, three of the generator, and those of probes."""

PAINTED = """
[...document.querySelectorAll("figure canvas")].map((canvas) => {
  const { width, height } = canvas, pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const colors = new Set();
  for (let at = 0; at < pixels.length; at += 4) if (pixels[at + 3]) colors.add(pixels.slice(at, at + 3).join());
  return [canvas.closest("figure").querySelector("h3").textContent, width, height, [...colors]];
})
"""
"""Title, width, height and the colours on each canvas."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests. In CI it must be there; elsewhere the last lines say how to install it."""
    if program() is None:
        missing("report.html in a browser", "apt-get install chromium")
    with running_browser(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that has everything."""
    run = rich_run(tmp_path_factory.mktemp("run"))
    write_report(run.folder)
    return run.folder.file("report.html")


def charts(browser: Browser) -> int:
    """How many charts the page says it has drawn."""
    return int(browser.value("document.body.dataset.charts || 0"))


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_is_drawn(browser: Browser, page: Path, width: int, scheme: str) -> None:
    """On a phone and on a desk, light and dark: each canvas has a size and more than one colour, and fits the screen."""
    browser.open(page, width, scheme=scheme)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    found = browser.value(PAINTED)
    assert len(found) == CHARTS
    for title, canvas_width, canvas_height, colors in found:
        assert canvas_width > 200 and canvas_height > 100, title
        assert len(colors) > 3, title
    assert browser.value("document.documentElement.scrollWidth") <= width
    assert browser.complaints == []
    assert browser.requested == [page.resolve().as_uri()]


def test_small_charts_are_as_wide_as_each_other(browser: Browser, page: Path) -> None:
    """Also the fourth of more than four, which is the last one only while the others are still to come."""
    browser.open(page, 1280)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    grids = "[...document.querySelectorAll('.grid')].map((grid) => [...grid.querySelectorAll('.small canvas')])"
    widths = [found for found in browser.value(f"{grids}.map((found) => found.map((canvas) => canvas.width))") if found]
    assert [len(found) for found in widths] == [len(GAUGES), 3] and len(GAUGES) > 4
    assert [len(set(found)) for found in widths] == [1, 1]


def test_a_status_stays_on_its_line(browser: Browser, page: Path) -> None:
    """However long the text is that was observed."""
    browser.open(page, 1280)
    lines = """
    [...document.querySelectorAll("table:has(.s)")].map((table) => {
      table.querySelector("tbody tr").cells[2].textContent = "waiting ".repeat(60);
      const range = document.createRange();
      range.selectNodeContents(table.querySelector("th"));
      return [range.toString(), range.getClientRects().length];
    })
    """
    assert browser.value(lines) == [["Status", 1], ["Status", 1]]


def test_colours_follow_the_scheme(browser: Browser, page: Path) -> None:
    """Switched to dark while it is open, the page draws its charts anew."""
    browser.open(page, 1280)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    before = browser.value(PAINTED)
    text = f"JSON.stringify({PAINTED.strip()})"
    light = browser.value(f"JSON.stringify({text})")  # before the switch, for the page may be quicker than the next question
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.until(f"{text} !== {light}")
    after = browser.value(PAINTED)
    assert [one[:3] for one in after] == [one[:3] for one in before]
    assert all(set(new[3]) != set(old[3]) for new, old in zip(after, before, strict=True))


def test_charts_follow_the_width(browser: Browser, page: Path) -> None:
    """A window made narrow makes its charts narrow."""
    browser.open(page, 1280)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    size = {"width": 500, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    browser.until("[...document.querySelectorAll('figure canvas')].every((canvas) => canvas.width <= 500)")
    assert browser.value("document.documentElement.scrollWidth") <= 500
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_can_be_printed(browser: Browser, page: Path, scheme: str) -> None:
    """Paper gets charts of its own width, in the colours of paper; afterwards the screen is as it was."""
    browser.open(page, 1280, scheme=scheme)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    widths = [one[1] for one in browser.value(PAINTED)]
    assert browser.pdf().startswith(b"%PDF-")
    assert browser.complaints == []
    assert [one[1] for one in browser.value(PAINTED)] == widths
    assert not browser.value("'print' in document.documentElement.dataset")


def test_hostile_texts_run_nothing(browser: Browser, page: Path) -> None:
    """Texts of the run are shown as they are: no script beyond the page's own, no dialog that waits for an answer."""
    browser.open(page, 1280)
    assert browser.value("document.scripts.length") == 5
    assert "</script><script>alert(1)</script>" in browser.value("document.querySelector('header').textContent")


def test_page_without_scripts_says_what_is_missing(browser: Browser, page: Path) -> None:
    """Tables are there, charts are not, and a note says why."""
    browser.open(page, 1280, scripts=False)
    assert charts(browser) == 0
    assert "need JavaScript" in browser.value("document.querySelector('noscript').textContent")
    assert browser.value("document.querySelector('main').innerText").count("db_connections") > 0
    browser.call("Emulation.setScriptExecutionDisabled", value=False)


def test_run_that_never_started_has_a_page(browser: Browser, tmp_path: Path) -> None:
    """Nothing to draw is nothing to complain about."""
    run = SyntheticRun.create(tmp_path)
    write_report(run.folder)
    browser.open(run.folder.file("report.html"), 1280)
    assert charts(browser) == 0
    assert browser.complaints == []


def test_cursor_shows_values_of_every_chart(browser: Browser, page: Path) -> None:
    """Pointed at one chart, all charts over time show that moment; what is not known is called so."""
    browser.open(page, 1280)
    browser.until(f"document.body.dataset.charts === '{CHARTS}'")
    browser.value("document.querySelector('.u-over').scrollIntoView({block: 'center'})")
    box = browser.value(
        "(({left, top, width, height}) => [left, top, width, height])("
        "document.querySelector('.u-over').getBoundingClientRect())"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[0] + box[2] * 0.55, y=box[1] + box[3] / 2)
    browser.until("document.querySelector('.u-value').textContent.includes('s')")
    shown = browser.value(
        "[...document.querySelectorAll('figure')].map((figure) => figure.querySelector('.u-value').textContent)"
    )
    assert sum(bool(text) for text in shown) == CHARTS - 1, "all but the one whose axis is no time"
