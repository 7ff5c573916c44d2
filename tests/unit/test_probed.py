"""What the probes saw of a load, and what is concluded when they saw too little."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.objectives.evaluate import Result
from loadtests.report.verdict import judge
from loadtests.store.records import append_lines
from tests.unit.runs import EPOCH, TEXT, SyntheticRun, complete
from tests.unit.texts import changed

ASKED = """
memory = "memory(api).max < 2GB"
reads = "saved_reads >= 50%"
slow = "server_time.p95 < 300ms"
hits = "redis_hit_ratio.min >= 10%"

[probes]
processes = ["api"]
redis = true

[probes.prometheus.api]
service = "api"
select.list_reads = { metric = "reads_total", kind = "counter" }
select.lists = { metric = "lists_total", kind = "counter" }
select.server_time = { metric = "seconds", kind = "histogram" }

[probes.shares]
saved_reads = { part = "list_reads", whole = "lists", complement = true }

[health]
"""
LENGTH_S = 10


def results(tmp_path: Path, *records: dict[str, Any]) -> dict[str, Result]:
    """The objectives on probes after a run with these records."""
    run = complete(SyntheticRun.create(tmp_path, changed("\n[health]\n", ASKED, TEXT)))
    append_lines(run.folder.file("probes.jsonl"), records)
    return {one.name: one for one in judge(run.evidence()).objectives}


def record(at_s: float, probe: str, *samples: tuple[str, str | None, float], **more: Any) -> dict[str, Any]:
    """A line of `probes.jsonl`."""
    return {"time": EPOCH + at_s, "probe": probe, "samples": [list(one) for one in samples], "gaps": {}, **more}


def scrape(at_s: float, reads: float, lists: float) -> dict[str, Any]:
    """What the endpoint had counted by then: of the lists, nine in ten within 0.1 s, all within 0.5 s."""
    buckets = [[0.1, 0.9 * lists], [0.5, lists], ["+Inf", lists]]
    counted = {"list_reads": reads, "lists": lists}
    return record(at_s, "prometheus api", counters=counted, buckets={"server_time": buckets})


def test_counters_are_judged_by_their_growth_over_the_load(tmp_path: Path) -> None:
    """What was counted before the load is no part of it; a counter that fell was started anew."""
    before = [scrape(-5, 0, 0), scrape(-0.5, 1000, 1000)]
    first = [scrape(second + 0.5, 1000 + 10 * second, 1000 + 40 * second) for second in range(5)]
    anew = [scrape(second + 0.5, 10 * (second - 5), 40 * (second - 5)) for second in range(5, 10)]
    found = results(tmp_path, *before, *first, *anew)
    assert found["reads"].observed == pytest.approx(0.75)
    assert (found["reads"].status, found["reads"].source) == ("pass", "Prometheus: api, probes.jsonl")


def test_histograms_are_judged_by_their_growth_over_the_load(tmp_path: Path) -> None:
    """p95 of nine in ten below 0.1 s and the rest below 0.5 s lies half-way in the second bucket."""
    found = results(tmp_path, *(scrape(second, 0, 100 * (second + 1)) for second in range(LENGTH_S)))
    assert found["slow"].observed == pytest.approx(0.3)
    assert found["slow"].status == "fail"


@pytest.mark.parametrize(("silent", "status"), [(1, "pass"), (2, "pass"), (3, "fail"), (9, "fail")])
def test_a_gauge_must_be_known_for_most_of_the_load(tmp_path: Path, silent: int, status: str) -> None:
    """An objective whose probe was silent for longer than `coverage` allows fails, whatever it saw, and says why."""
    seen = [record(second + 0.5, "processes", ("memory", "api", 1e8)) for second in range(silent, LENGTH_S)]
    gaps = [record(second + 0.5, "processes", gaps={"process api": "was killed by SIGKILL"}) for second in range(silent)]
    found = results(tmp_path, *gaps, *seen)["memory"]
    assert (found.status, found.observed) == (status, 1e8)
    if status == "fail":
        assert found.observed_text == f"100 MB, known for {LENGTH_S - silent} of 10 s only (was killed by SIGKILL)"


def test_a_metric_may_rest_while_its_probe_answers(tmp_path: Path) -> None:
    """A cache that nobody asks has no share of hits; that is no gap."""
    quiet = [record(second + 0.5, "redis", ("redis_clients", None, 3.0)) for second in range(LENGTH_S - 1)]
    found = results(tmp_path, *quiet, record(9.5, "redis", ("redis_hit_ratio", None, 0.8)))["hits"]
    assert (found.status, found.observed) == ("pass", 0.8)


def test_no_data_says_why(tmp_path: Path) -> None:
    """A probe that could not be had, or never answered, is the reason that is given; without one there is none."""
    absent = {"time": EPOCH - 3, "samples": [], "gaps": {"redis": "LOADTEST_REDIS_URL is not set"}}
    found = results(tmp_path, absent)
    assert found["hits"].observed_text == "no data (LOADTEST_REDIS_URL is not set)"
    assert found["memory"].observed_text == "no data"
    assert {found[name].status for name in ("hits", "memory", "reads", "slow")} == {"fail"}


def notes(tmp_path: Path, *records: dict[str, Any]) -> list[str]:
    """What the verdict notes of the probes after a run with these records."""
    run = complete(SyntheticRun.create(tmp_path, changed("\n[health]\n", ASKED, TEXT)))
    append_lines(run.folder.file("probes.jsonl"), records)
    return [note for note in judge(run.evidence()).notes if not note.endswith("another run may say otherwise")]


def test_gaps_are_told_whoever_needed_them(tmp_path: Path) -> None:
    """The verdict notes each probe that did not answer: how often, and the reason it gave most."""
    reasons = ["refused", "timed out", "refused", *[None] * 7]
    records = (record(at_s, "redis", gaps={"redis": why} if why else {}) for at_s, why in enumerate(reasons))
    assert notes(tmp_path, *records) == ["redis: no answer in 3 of 10 s (refused)"]


@pytest.mark.parametrize(("rounds", "told"), [(9, []), (8, []), (7, ["sampled tasks: 7 of 10 rounds"]), (0, None)])
def test_rounds_that_did_not_happen_are_told(tmp_path: Path, rounds: int, told: list[str] | None) -> None:
    """A probe whose rounds took too long, answered or not, and one that came to none; with most of them there is no note."""
    before = record(-1, "sampled tasks")
    found = notes(tmp_path, before, *(record(at_s + 0.5, "sampled tasks") for at_s in range(rounds)))
    assert found == (["sampled tasks: 0 of 10 rounds"] if told is None else told)


def test_probe_that_could_not_be_had_is_told(tmp_path: Path) -> None:
    """It is no round without an answer."""
    absent = {"time": EPOCH - 3, "samples": [], "gaps": {"redis": "LOADTEST_REDIS_URL is not set", "containers": "no engine"}}
    assert notes(tmp_path, absent) == [
        "containers: not available: no engine",
        "redis: not available: LOADTEST_REDIS_URL is not set",
    ]


MORE = (
    ASKED.replace("redis = true", 'redis = true\ncontainers = ["web"]\npostgres = { own = "SELECT 1", other = "SELECT 1" }')
    .replace('["api"]', '["api", "redis"]')
    .replace('memory = "', 'cache = "memory(redis).max < 1B"\nweb = "memory(web).max < 1B"\nown = "own.max < 1"\nmemory = "')
)


def reasons(tmp_path: Path, *records: dict[str, Any]) -> dict[str, str | None]:
    """Why nothing, or too little, is known of what objectives ask for."""
    run = complete(SyntheticRun.create(tmp_path, changed("\n[health]\n", MORE, TEXT)))
    append_lines(run.folder.file("probes.jsonl"), records)
    found = {one.name: one.observed_text for one in judge(run.evidence()).objectives}
    asked = ("cache", "web", "own", "memory", "reads", "slow", "hits")
    return {name: found[name].partition("(")[2].rstrip(")") or None for name in asked if name in found}


@pytest.mark.parametrize(
    ("gaps", "told"),
    [
        ({"redis": "INFO is away"}, {"hits": "INFO is away"}),
        ({"process redis": "was killed"}, {"cache": "was killed"}),
        ({"process api-2": "was killed"}, {"memory": "was killed"}),
        ({"process api-gateway": "was killed"}, {}),
        ({"processes": "no table"}, {"memory": "no table", "cache": "no table"}),
        ({"containers": "no engine"}, {"web": "no engine"}),
        ({"process web": "no such container"}, {"web": "no such container"}),
        ({"postgres other": "no such table"}, {}),
        ({"postgres own": "no such table"}, {"own": "no such table"}),
        ({"postgres": "away"}, {"own": "away"}),
        ({"prometheus api server_time": "no such series"}, {"slow": "no such series"}),
        ({"prometheus api list_reads": "no such series"}, {"reads": "no such series"}),
        ({"prometheus api lists": "no such series"}, {"reads": "no such series"}),
        ({"prometheus api": "away"}, {"reads": "away", "slow": "away"}),
    ],
    ids=lambda value: next(iter(value), "nobody") if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("absent", [False, True], ids=["gap", "absent"])
def test_silence_is_its_own_probes(tmp_path: Path, gaps: dict[str, str], told: dict[str, str], absent: bool) -> None:
    """A reason is given for what that probe, that query, that series or that service would have told, and for nothing else."""
    said = {"time": EPOCH - 3, "samples": [], "gaps": gaps} if absent else record(1, "whoever", gaps=gaps)
    found = reasons(tmp_path, said)
    assert {name: reason for name, reason in found.items() if reason} == told


def test_query_may_rest_while_another_fails(tmp_path: Path) -> None:
    """What fails is known for too little of the load; what has nothing to tell, beside it, is not."""
    rounds = [record(at_s + 0.5, "postgres", gaps={"postgres other": "no such table"}) for at_s in range(LENGTH_S - 1)]
    run = complete(SyntheticRun.create(tmp_path, changed("\n[health]\n", MORE, TEXT)))
    told = [("own", None, 0.5), ("other", None, 1.0)]
    append_lines(run.folder.file("probes.jsonl"), [*rounds, record(9.5, "postgres", *told)])
    doubts = run.evidence().probed.doubts()
    assert {key[0]: text for key, text in doubts.items() if key[0] in ("own", "other")} == {
        "other": "known for 1 of 10 s only (no such table)"
    }
