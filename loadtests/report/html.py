"""`report.html`: one file that opens offline. Verdict first, then charts, then tables, which need no JavaScript."""

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from loadtests.report.evidence import Evidence
from loadtests.report.happenings import happenings
from loadtests.report.rows import of_due, reasons, rows
from loadtests.report.series import columns
from loadtests.report.verdict import Verdict
from loadtests.units import format_duration, percent

FOLDER = files("loadtests.report")
SHOWN_NAMES = 20
"""Ids of tasks of each kind of trouble."""


def html_report(evidence: Evidence, verdict: Verdict, summary: dict[str, Any]) -> str:
    """The page as text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=_number, ms=_ms, duration=format_duration, flat=_flat, percent=percent)
    scripts = [_library(), _read("marks.js"), _read("charts.js"), _read("page.js")]
    return environment.from_string(_read("report.html.j2")).render(
        verdict=verdict,
        reasons=reasons(verdict),
        objectives=rows(evidence, verdict),
        undecided=any(not result.decided for result in verdict.objectives),
        summary=summary,
        of_due=of_due,
        manifest=evidence.manifest,
        scenario=evidence.plan.scenario,
        ledger=evidence.ledger.to_json(),
        happenings=happenings(evidence.events, evidence.start_epoch),
        shown_names=SHOWN_NAMES,
        style=_read("vendor/uPlot.min.css") + _read("report.css"),
        data=embedded(columns(evidence, verdict)),
        scripts=scripts,
        policy=_policy(scripts),
    )


def embedded(data: Mapping[str, Any]) -> str:
    """JSON as a script element can hold it: nothing in it ends the element or opens a comment."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str]) -> str:
    """What the page may do: run these scripts and no other, style itself, and ask nothing of any network."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:"


def _library() -> str:
    """The library with its licence in place of the banner, whose address would look like a request in an offline page."""
    banner, _, code = _read("vendor/uPlot.iife.min.js").partition("\n")
    assert banner.startswith("/*!"), "the vendored file begins with its banner"
    return f"/*! uPlot\n{_read('vendor/LICENSE')}\n*/\n{code}"


def _read(name: str) -> str:
    return FOLDER.joinpath(name).read_text(encoding="utf-8")


def _number(value: float) -> str:
    return f"{value:,}"


def _ms(value: float) -> str:
    return f"{value:,.1f}"


def _flat(value: Any) -> str:
    """A manifest's value on one line: of a table its entries, one after the other."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_flat(one)}" for name, one in value.items())
    return "none" if value is None else str(value)
