"""`report.html`: its structure, what it may not contain, what it weighs, and where its charts come from."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import pytest

from loadtests.objectives.grammar import Unit
from loadtests.report.html import embedded, html_report
from loadtests.report.summary import summarise
from tests.unit.rich_run import HOSTILE, rich_run
from tests.unit.runs import TEXT, SyntheticRun, complete
from tests.unit.texts import changed

MOST_BYTES = 150_000
"""Of the page of a run of a minute; uPlot is a third of it."""
REPORT = files("loadtests.report")
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """The page as a browser reads it: text, scripts and attributes. Fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        """An element ends: the one that began last."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text of a script, of a cell, or any other."""
        if self._open and self._open[-1] == "script":
            attrs, text = self.scripts.pop()
            self.scripts.append((attrs, text + data))
        else:
            self.texts.append(data)
            if {"td", "th"} & set(self._open):
                self.rows[-1][-1] += data

    @property
    def text(self) -> str:
        """Everything that is shown."""
        return "".join(self.texts)

    @property
    def data(self) -> Any:
        """What the charts read."""
        (found,) = [text for attrs, text in self.scripts if attrs.get("id") == "data"]
        return json.loads(found)


def page_of(run: SyntheticRun) -> tuple[str, Page]:
    """The page of a run, as text and parsed."""
    evidence = run.evidence()
    text = html_report(evidence, run.verdict(), summarise(evidence))
    return text, Page(text)


def test_verdict_and_objectives_come_first(tmp_path: Path) -> None:
    """The word, the objectives, the charts' place, then requests, health, ledger, events and manifest."""
    text, page = page_of(complete(SyntheticRun.create(tmp_path)))
    order = [
        '<h1><span class="word pass">pass</span>',
        "<h2>Objectives</h2>",
        'id="charts"',
        *(f"<h2>{title}</h2>" for title in ("Requests", "Health of the generator", "Ledger", "Events", "Manifest")),
    ]
    assert [text.count(part) for part in order] == [1] * len(order)
    assert sorted(order, key=text.index) == order
    rows = {row[1].split()[0]: row for row in page.rows if len(row) == 6}
    assert rows["users"][2:5] == [">= 6", "6", "0 %"]
    assert rows["fast"][0] == "pass ±" and rows["fast"][4].startswith("+")


def test_tables_tell_everything_without_charts(tmp_path: Path) -> None:
    """Every objective, check, request name, percentile and manifest entry is in the page's text, and a note says so."""
    run = rich_run(tmp_path)
    text, page = page_of(run)
    summary, verdict = summarise(run.evidence()), run.verdict()
    for result in (*verdict.objectives, *verdict.health):
        assert result.name in page.text and result.observed_text in page.text
    for name, series in summary["series"].items():
        assert name in page.text
        assert f"{series['response_time_ms']['p99']:,.1f}" in page.text
    assert run.folder.run_id in page.text and "list" in page.text
    assert text.count("<noscript>") == 1


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """A description, a request name, a kind of failure or a reason with markup in it adds no element and no attribute."""
    quiet_text, quiet = page_of(rich_run(tmp_path / "quiet", "nothing special"))
    text, page = page_of(rich_run(tmp_path / "hostile"))
    assert HOSTILE in page.text and f'list "quoted" {HOSTILE}' in page.text
    assert len(page.scripts) == len(quiet.scripts) == 5
    assert {name for _, name, _ in page.attributes} == {name for _, name, _ in quiet.attributes}
    assert text.count("<script") == quiet_text.count("<script") == 5
    assert "<!--" not in text
    assert HOSTILE in page.data["failures"]


def test_json_cannot_end_its_element() -> None:
    """Whatever stands in the data comes back the same, and holds no character that HTML would see."""
    data = {HOSTILE: [HOSTILE, "\u2028", "]]>", "<!--"]}
    text = embedded(data)
    assert json.loads(text) == data
    assert not set("<>&\u2028") & set(text)


def test_page_asks_nothing_of_any_network(tmp_path: Path) -> None:
    """No address but the target's, no element that fetches, and a policy that forbids it anyway."""
    text, page = page_of(rich_run(tmp_path))
    assert "http://" not in text.replace("http://127.0.0.1:1", "") and "https://" not in text
    fetching = [(tag, name, value) for tag, name, value in page.attributes if name in ("src", "href", "srcset", "action")]
    assert fetching == [("link", "href", "data:,")]
    assert "url(" not in text and "@import" not in text


def test_policy_allows_the_pages_own_scripts_alone(tmp_path: Path) -> None:
    """Each script is allowed by its hash; there are no inline handlers."""
    _, page = page_of(complete(SyntheticRun.create(tmp_path)))
    (policy,) = [value for tag, name, value in page.attributes if (tag, name) == ("meta", "content") and "default-src" in value]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for attrs, script in page.scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert ("type" in attrs) != (f"'sha256-{digest}'" in policy)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]


def test_run_that_never_started_has_a_page(tmp_path: Path) -> None:
    """Nothing to draw is no error; the reasons say what happened."""
    _, page = page_of(SyntheticRun.create(tmp_path))
    assert "the load never started" in page.text
    assert page.data["columns"] == {}


def test_minutes_page_is_light(tmp_path: Path) -> None:
    """A run of a minute stays under MOST_BYTES, an hour's under twice as much."""
    minute, _ = page_of(complete(SyntheticRun.create(tmp_path, changed('"10s"', '"60s"', TEXT))))
    assert len(minute.encode()) < MOST_BYTES
    hour = changed('"10s"', '"3600s"', TEXT).replace("rate_per_user = 2.0", "rate_per_user = 0.02")
    text, page = page_of(complete(SyntheticRun.create(tmp_path, hour)))
    assert len(page.data["t"]) == 600
    assert len(text.encode()) < 2 * MOST_BYTES


def test_vendored_files_are_the_published_ones() -> None:
    """Their sums are those in VENDOR.md, which lists every file there is."""
    listed = dict(
        re.findall(r"^\| `([\w.]+)` \| `[\w./]+` \| `([0-9a-f]{64})` \|$", _vendored("VENDOR.md").decode(), re.MULTILINE)
    )
    found = {path.name for path in REPORT.joinpath("vendor").iterdir()}
    assert listed.keys() == found - {"VENDOR.md"} == {"uPlot.iife.min.js", "uPlot.min.css", "LICENSE"}
    assert {name: hashlib.sha256(_vendored(name)).hexdigest() for name in listed} == listed


def test_page_holds_the_library_and_its_licence(tmp_path: Path) -> None:
    """The library's code unchanged, its banner's address replaced by the licence that has to go with every copy."""
    text, _ = page_of(SyntheticRun.create(tmp_path))
    _, _, code = _vendored("uPlot.iife.min.js").decode().partition("\n")
    assert code in text and _vendored("LICENSE").decode() in text
    assert re.search(r"v([0-9.]+)", _vendored("uPlot.iife.min.js").decode()[:100])[1] in _vendored("VENDOR.md").decode()  # type: ignore[index]


@pytest.mark.parametrize("name", ["marks.js", "charts.js", "page.js", "report.css"])
def test_own_files_are_small_and_cannot_end_their_element(name: str) -> None:
    """Our own code is read by people, and nothing in it looks like the end of a script or a style."""
    text = REPORT.joinpath(name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250
    assert "</" not in text and "<!--" not in text


def _vendored(name: str) -> bytes:
    return REPORT.joinpath("vendor", name).read_bytes()


@pytest.mark.parametrize("unit", get_args(Unit))
def test_charts_know_every_unit_of_metrics(unit: str) -> None:
    """A unit that the charts did not know would leave the chart of each of its gauges empty."""
    units = REPORT.joinpath("charts.js").read_text(encoding="utf-8").partition("const units = {")[2].partition("\n};")[0]
    assert re.search(rf"^  {unit}: ", units, re.MULTILINE)
