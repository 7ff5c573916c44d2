"""`report.html`: one file that opens offline. Verdict first."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from loadtests.report.evidence import Evidence
from loadtests.report.verdict import Verdict


def html_report(evidence: Evidence, verdict: Verdict, summary: dict[str, Any]) -> str:
    """The page as text."""
    template = files("loadtests.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["ms"] = lambda value: f"{value:,.1f}"
    return environment.from_string(template).render(
        verdict=verdict,
        summary=summary,
        manifest=evidence.manifest,
        scenario=evidence.plan.scenario,
        ledger=evidence.ledger.to_json(),
        events=evidence.events,
    )
