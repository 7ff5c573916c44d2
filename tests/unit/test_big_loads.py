"""docs/big-loads.md: every figure of it is that of the results it names."""

import json
import math
import re
from pathlib import Path
from statistics import linear_regression
from typing import Any

import pytest

from benchmarks.big_loads_render import PROBES, TARGETS, render
from benchmarks.sizes import ENDPOINTS, WORKERS, slopes

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "big-loads.md").read_text()


def result(name: str) -> Any:
    """A file of benchmarks/results."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def row(beginning: str) -> list[str]:
    """The cells of a table's row, for the three rates."""
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {beginning}")]
    return [cell.strip() for cell in line.split("|")[2:5]]


def test_the_page_is_what_the_results_say() -> None:
    """Nobody wrote a number by hand: rendered again, it is the same."""
    assert render(result("sizes")) == PAGE


def test_workers_are_those_of_the_measured_cost() -> None:
    """So many cores, 60 % busy, as the measured CPU time of a request makes."""
    cost_s = result("generator")["ten_thousand"]["cpu_us"] * 1e-6
    for rate, workers in zip(TARGETS, row("workers"), strict=True):
        number = int(workers.replace(",", ""))
        assert number * 0.6 >= rate * cost_s > (number - 1) * 0.6


def test_a_dearer_request_is_on_the_page() -> None:
    """What a worker spent beside the stack is the other end of the estimate, and is not less than the first."""
    costs = [run["cpu_s_per_request"]["generator"] for run in result("capacity")["demands"]]
    for rate, few, many in zip(TARGETS, row("workers"), row("... at what a request cost"), strict=True):
        assert int(many.replace(",", "")) == math.ceil(rate * sum(costs) / len(costs) / 0.6) >= int(few.replace(",", ""))


def test_accepted_tasks_of_workers_elsewhere_are_counted() -> None:
    """They travel in the snapshots and the master takes them in: a quarter of the requests, so many bytes and us each."""
    master = result("master")
    tasks, without = master["accepted"]["workers"] * master["rate_per_worker"] / 4, master["masters"][-1]
    assert without["workers"] == master["accepted"]["workers"]
    cost_us = (master["accepted"]["cpu_cores"] - without["cpu_cores"]) / tasks * 1e6
    for rate, sent, cores in zip(TARGETS, row("... with the snapshots"), row("... cores of the master"), strict=True):
        assert float(sent.removesuffix(" MB/s")) == pytest.approx(rate / 4 * result("sizes")["task_bytes"] / 1e6, abs=0.05)
        assert float(cores) == pytest.approx(rate / 4 * cost_us * 1e-6, abs=0.01)


def test_the_master_is_on_the_line_of_what_was_measured() -> None:
    """Least squares over the numbers of workers; both rows of workers have a row of it."""
    master = result("master")
    rows = master["masters"]
    assert [one["workers"] for one in rows] == [1, 4, 16, 64]
    line = linear_regression([one["workers"] for one in rows], [one["cpu_cores"] for one in rows])
    assert master["slope"] == {"worker": round(line.slope, 6), "base": round(line.intercept, 6)}
    for of, cores in (("workers", "the master's share"), ("... at what a request cost", "... with the workers of")):
        for workers, share in zip(row(of), row(cores), strict=True):
            assert float(share) == pytest.approx(line.intercept + line.slope * int(workers.replace(",", "")), abs=0.006)


def test_points_are_counted_and_not_guessed() -> None:
    """A worker adds a point for each endpoint and one for itself; the rest is there once (docs/metrics.md)."""
    found = result("sizes")["slopes"]
    for endpoints in ENDPOINTS:
        assert found[str(endpoints)]["points"]["worker"] == pytest.approx(endpoints + 1)
        assert found[str(endpoints)]["points"]["base"] == pytest.approx(endpoints + 1 + 2)


def test_slopes_are_those_of_the_measurements() -> None:
    """Least squares over the numbers of workers, from the seconds in the same file."""
    sizes = result("sizes")
    assert slopes(sizes["seconds"]) == sizes["slopes"]
    assert {(one["workers"], one["endpoints"]) for one in sizes["seconds"]} == {(w, e) for w in WORKERS for e in ENDPOINTS}


def test_the_probed_metrics_are_those_of_the_benchmark() -> None:
    """The number that the page adds to the series is the one that was measured."""
    assert result("probes")["metrics"] == PROBES


def test_a_changed_result_changes_the_page() -> None:
    """The figures come from the file: another one gives another page."""
    sizes = result("sizes")
    sizes["answers"]["bytes_per_request"] *= 2
    assert render(sizes) != PAGE


def test_every_link_leads_somewhere() -> None:
    """Pages and files that it names are in the repository."""
    for name in re.findall(r"\]\((?!http)([^)#]+)", PAGE):
        assert (ROOT / "docs" / name).exists(), name
    for name in re.findall(r"`((?:benchmarks|loadtests|k8s)/[\w./-]+)`", PAGE):
        assert (ROOT / name).exists(), name
