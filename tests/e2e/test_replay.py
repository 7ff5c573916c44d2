"""A real run's access log, turned into scenarios and replayed: the same traffic, as often as one likes."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.pacing.stream import OpenLoad
from loadtests.scenario.load import load_plan
from loadtests.traffic.access_log import SECOND_US, Hit, Reading, hits, open_log
from tests.e2e.command import Finished, loadtest, run
from tests.e2e.conftest import Target

TASKS = "/api/v1/tasks"
PAGE = "/static/index.html"
PAGES = 20


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What nginx wrote of a short run of `smoke` with more users; ACCESS_LOG keeps it."""
    folder = tmp_path_factory.mktemp("recorded")
    file = folder / "access.log"
    command = run("smoke", "--users", "100", "--duration", "4s", out=folder / "results", env={"ACCESS_LOG": str(file)})
    try:
        finished = command.finish()
    finally:
        command.clean_up()
    assert finished.code == 0, finished.output + finished.errors
    made = Counter({name: series["requests"] for name, series in finished.json("summary.json")["series"].items()})
    assert Counter(name_of(hit) for hit in mix_of(file)) == Counter(
        {name: made[name] for name in ("list_tasks", "create_task")}
    )
    return file


def mix_of(file: Path) -> Iterator[Hit]:
    """The log's requests of the mix."""
    with open_log(str(file)) as lines:
        yield from (hit for hit in hits(lines, Reading()) if hit.target.partition("?")[0] == TASKS)


def name_of(hit: Hit) -> str:
    """The journey that made it."""
    return "list_tasks" if hit.method == "GET" else "create_task"


def recorded(log: Path, out: Path, *options: str) -> Finished:
    """`loadtest record`, like smoke."""
    finished = loadtest("record", str(log), "-o", str(out), "--like", "smoke", *options, out=out.parent)
    assert finished.code == 0, finished.errors
    return finished


def test_scenario_has_the_shares_and_the_rate_of_the_log(log: Path, tmp_path: Path) -> None:
    """Weights are the counts; each inner second of the plan expects as many turns as the log has requests there."""
    recorded(log, tmp_path / "rate.toml")
    found = list(mix_of(log))
    plan = load_plan(tmp_path / "rate.toml")
    assert {share.journey: share.weight for share in plan.scenario.mix} == Counter(map(name_of, found))
    assert isinstance(plan.load, OpenLoad)
    begin_s, users = min(hit.at_us for hit in found) / SECOND_US, plan.scenario.load.users
    assert users * plan.load.profile.total == pytest.approx(len(found), rel=1e-3)
    counts = Counter(hit.at_us // SECOND_US for hit in found)
    for second in range(min(counts) + 2, max(counts) - 1):
        first, last = (users * plan.load.profile.cumulative(edge - begin_s) for edge in (second, second + 1))
        assert last - first == pytest.approx(counts[second], rel=1e-3, abs=0.01)


def test_exact_replay_is_the_same_stream(log: Path, target: Target, tmp_path: Path, out: Path) -> None:
    """Every request once, by its name, from two workers; other endpoints come along; the verdict outlives the recording."""
    end_s = max(hit.at_us for hit in mix_of(log)) / SECOND_US
    times = [f"request_time=0.000 msec={end_s - 0.1 * page:.3f} " for page in range(PAGES)]
    pages = [f'2026-11-25T17:50:55+00:00 ::1 "GET {PAGE} HTTP/1.1" 200 bytes=9 {time}\n' for time in times]
    whole = tmp_path / "whole.log"
    whole.write_text(log.read_text() + "".join(pages))
    scenario, host = tmp_path / "exact.toml", ("--host", target.host)
    recorded(whole, scenario, "--exact", "--users", "50")
    moments = scenario.with_suffix(".moments").read_text()

    finished = run(str(scenario), *host, "--workers", "2", out=out, env=target.env).finish()
    assert finished.code == 0, finished.output + finished.errors
    made = {name: series["requests"] for name, series in finished.json("summary.json")["series"].items()}
    due = Counter(line.split()[1] for line in moments.splitlines())
    assert due["get_static_index_html"] == PAGES
    assert {name: made[name] for name in due} == due
    assert finished.json("summary.json")["stream"] in loadtest("plan", str(scenario), *host, out=out).output

    assert (finished.folder / "recording.moments").read_text() == moments
    scenario.with_suffix(".moments").unlink()
    again = loadtest("verdict", str(finished.folder), out=out)
    assert (again.code, again.errors) == (0, "")
