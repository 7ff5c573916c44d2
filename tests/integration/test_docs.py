"""The documentation is true: what is generated is current, what is listed is there."""

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from loadtests.capacity.search import Bounds
from loadtests.engine.http import failures
from loadtests.measure.histogram import Histogram
from loadtests.objectives import catalog
from loadtests.objectives.grammar import BUILT_IN
from loadtests.objectives.health import HealthFacts, judge_health
from loadtests.report.found import Found, StepResult
from loadtests.report.verdict import health_limits
from loadtests.scenario.schema import Health
from scripts.scenario_reference import PAGE, page

ROOT = Path(__file__).parents[2]


def test_scenario_reference_is_current() -> None:
    """docs/scenarios.md is what the schema says (`make docs` writes it)."""
    assert PAGE.read_text() == page()


def test_objectives_page_lists_every_metric_and_check() -> None:
    """Every metric of the grammar and every health check stands in docs/objectives.md."""
    text = (ROOT / "docs" / "objectives.md").read_text()
    facts = HealthFacts(None, [], 0, [], Histogram(), 0, 0, 0, 0, 0, 0.0, Histogram(), 0, 0, 0, 0, clocks=[])
    names = [*BUILT_IN, *(result.name for result in judge_health(facts, health_limits(Health())))]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_metric_of_a_probe_is_listed() -> None:
    """Every metric that a probe may deliver stands in docs/objectives.md or, with what it says, in docs/probes.md."""
    text = "".join((ROOT / "docs" / name).read_text() for name in ("objectives.md", "probes.md"))
    names = [metric.name for delivered in catalog.ALL for metric in delivered]
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in text] == []


def test_generator_page_lists_every_kind_of_failure() -> None:
    """What failures.py lists stands in docs/generator.md, in the same words."""
    text = (ROOT / "docs" / "generator.md").read_text()
    listed = re.findall(r"^(\w+)(?: \.\.\.)? {2,}(.*)$", failures.__doc__ or "", re.MULTILINE)
    assert len(listed) > 15
    assert [kind for kind, words in listed if f"`{kind}`" not in text or f"| {words} |" not in text] == []


def test_links_lead_somewhere() -> None:
    """Every relative link of README and docs names a file that is there."""
    pages = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("backend", "benchmarks"))]
    pages += (ROOT / "docs").rglob("*.md")
    for page_ in pages:
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", page_.read_text()):
            assert (page_.parent / link).exists(), f"{page_.name}: {link}"


def test_make_help_lists_every_target() -> None:
    """`make help` names each target that the Makefile declares."""
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    shown = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert [name for name in declared[1].split() if f"make {name} " not in shown] == []


def test_command_help_matches_the_page() -> None:
    """Every option of `loadtest run` stands in docs/commands.md."""
    command = [sys.executable, "-m", "loadtests", "run", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    text = (ROOT / "docs" / "commands.md").read_text()
    assert [option for option in set(re.findall(r"--[a-z-]+", shown)) - {"--help"} if f"`{option}`" not in text] == []


@pytest.mark.parametrize(("command", "page"), [("nightly", "nightly.md"), ("compare", "compare.md"), ("doctor", "doctor.md")])
def test_help_matches_the_page(command: str, page: str) -> None:
    """Every option stands in the command's own page."""
    asked = [sys.executable, "-m", "loadtests", command, "--help"]
    shown = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"(?<=[ \[])--[a-z-]+", shown)) - {"--help"}
    assert len(options) > 4
    assert [option for option in options if not re.search(rf"`{option}[ `]", (ROOT / "docs" / page).read_text())] == []


def test_capacity_help_matches_the_page() -> None:
    """Every option of `loadtest capacity` stands in docs/capacity-search.md, and every key of its answer."""
    command = [sys.executable, "-m", "loadtests", "capacity", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    text = (ROOT / "docs" / "capacity-search.md").read_text()
    options = set(re.findall(r"--[a-z-]+", shown)) - {"--help"}
    assert len(options) > 15
    assert [option for option in options if not re.search(rf"`{option}[ `]", text)] == []
    data = Found("x", Bounds(2, 1, 4), {}, []).to_json()
    keys = [*data, *data["answer"], *data["bounds"], *(field.name for field in fields(StepResult) if field.name != "broke")]
    assert [key for key in keys if not re.search(rf"[`.]{key}[`.]", text)] == []
