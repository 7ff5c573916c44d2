"""Every query of every dashboard, on a real InfluxDB, with Grafana's macros put in.

`fill` writes the points; whoever has better ones puts another function in its place and keeps the rest.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.grafana_macros import ALL, Board, Query
from tests.influxd import Influxd
from tests.metrics_contract import PERCENTILES, bounds_ms

EMPTY = {"loadtest-runs panel 4 'Invalid' A"}
"""Queries that rightly find nothing here."""
BOARDS = sorted((Path(__file__).parents[2] / "dashboards" / "json").glob("*.json"))
SCENARIO = "smoke"
RUNS = ("20270115T080000-smoke-aaaa", "20270115T090000-smoke-bbbb")
START_S = {RUNS[0]: 1_800_000_000, RUNS[1]: 1_800_003_600}
WORDS = ("pass", "fail")
SECONDS = 10
NAMES = ("GET /tasks/{id}", "create_task")
METRICS = {
    "cpu": ("api", 0.5),
    "memory": ("api", 5e8),
    "db_connections": ("-", 40.0),
    "tasks_in_progress": ("-", 900.0),
    "redis_memory": ("cache", 1e7),
}
# Of each worker, name and second: 80 requests of at most 100 ms, 15 of at most 200 ms, 4 of at most 500 ms, 1 of more.
AT_MOST = {bound: 0 if bound < 100 else 80 if bound < 200 else 95 if bound < 500 else 99 for bound in bounds_ms()}
REQUESTS, FAILED, SUM_US = 100, 2, 9_000_000


@dataclass(frozen=True)
class Filled:
    """What was written, as far as queries have to know it."""

    server: Influxd
    runs: tuple[str, str]
    scenario: str
    from_ms: int
    to_ms: int

    def board(self, uid: str, **values: str | list[str]) -> Board:
        """A dashboard as a reader finds it: the newest run in its time (all runs have a day), and everything of the rest."""
        older, newer = self.runs
        chosen: dict[str, str | Sequence[str]] = {"scenario": ALL, "run": newer, "run_a": older, "run_b": newer}
        chosen |= {"endpoint": "*" if uid == "loadtest-compare" else [ALL], "metric": [ALL]}
        path = next(path for path in BOARDS if path.stem == uid)
        options = {"metric": list(METRICS)}
        from_ms = self.from_ms - 86_400_000 if uid == "loadtest-runs" else self.from_ms
        return Board(json.loads(path.read_text()), {**chosen, **values}, from_ms, self.to_ms, options)

    def panel(self, uid: str, number: int, target: str = "A", **values: str | list[str]) -> list[dict[str, Any]]:
        """What one target of a panel gets."""
        (query,) = [
            one
            for one in self.board(uid, **values).queries()
            if f" panel {number} " in one.where and one.where.endswith(f" {target}")
        ]
        return self.server.query(query.text)


def fill(server: Influxd) -> Filled:
    """Two runs of ten seconds, an hour apart, with a point of each measurement of docs/metrics.md."""
    for number, (run, start_s) in enumerate(START_S.items()):
        server.write(_run(run, start_s, slower=number + 1))
    newest_ms = START_S[RUNS[1]] * 1000
    return Filled(server, RUNS, SCENARIO, newest_ms - 1000, newest_ms + (SECONDS + 1) * 1000)


def _run(run: str, start_s: int, slower: int) -> Iterator[str]:
    for second in range(SECONDS):
        for measurement, tags, fields in _second(second, slower):
            yield _line(run, measurement, tags, fields, (start_s + second) * 10**9)
    for line, (measurement, tags, fields) in enumerate(_whole(slower)):
        yield _line(run, measurement, tags, fields, start_s * 10**9 + line)


def _line(run: str, measurement: str, tags: dict[str, str], fields: dict[str, Any], time_ns: int) -> str:
    named = {"run_id": run, "scenario": SCENARIO, **tags}
    keys = ",".join(f"{key}={value.replace(' ', chr(92) + ' ')}" for key, value in named.items())
    return f"{measurement},{keys} {','.join(f'{key}={_value(value)}' for key, value in fields.items())} {time_ns}"


def _value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return f"{value}i" if isinstance(value, int) else repr(value)


Made = tuple[str, dict[str, str], dict[str, Any]]


def _second(second: int, slower: int) -> Iterator[Made]:
    latencies = _latencies(slower)
    for name in NAMES:
        yield "loadtest_latency", {"name": name}, {"elapsed_s": float(second), **latencies, "count": 2 * REQUESTS}
        for worker in ("0", "1"):
            counts = {"ok": REQUESTS - FAILED, "failed": FAILED, "bytes": 5000, "response_sum_us": SUM_US, "le_inf": REQUESTS}
            counts |= {f"le_{bound}ms": count for bound, count in AT_MOST.items()}
            yield "loadtest_requests", {"name": name, "worker": worker}, counts
            yield "loadtest_failures", {"name": name, "worker": worker, "kind": "timeout"}, {"count": FAILED}
    yield "loadtest_latency", {"name": "*"}, {"elapsed_s": float(second), **latencies, "count": 4 * REQUESTS}
    window = {"scheduled": 410, "started": 400, "finished": 400, "dropped": 10, "sent": 400, "unplanned": 3, "connections": 1}
    window |= {"journey_errors": 0, "users": 50 + second, "in_flight": 7, "sockets": 50}
    yield "loadtest_window", {}, {"elapsed_s": float(second), **window}
    yield "loadtest_lateness", {}, {"p50_ms": 0.5, "p99_ms": 2.0 + second, "max_ms": 30.0, "count": 400}
    for worker in ("0", "1"):
        own = {"cpu": 0.25, "loop_lag_ms": 1.5, "users": 25, "in_flight": 3, "sockets": 25, "rss_bytes": 90_000_000}
        yield "loadtest_worker", {"worker": worker}, own
    for metric, (selector, value) in METRICS.items():
        yield "loadtest_probe", {"metric": metric, "selector": selector}, {"value": value + second / 100}


def _latencies(slower: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for place, name in enumerate(PERCENTILES):
        found |= {f"response_{name}_ms": slower * (100.0 + place), f"service_{name}_ms": slower * (90.0 + place)}
    return found


def _whole(slower: int) -> Iterator[Made]:
    yield "loadtest_gap", {"probe": "postgres"}, {"reason": "OperationalError: gone"}
    for event in ("start", "stage", "fault", "halt", "abort", "worker_lost", "process_ended", "objective_missed", "stop"):
        yield "loadtest_event", {"event": event}, {"at_s": 1.0, "text": f"about {event}"}
    summary = {
        "verdict": WORDS[slower - 1],
        "verdict_code": slower - 1,
        "rate": 395.5,
        "offered_rate": 400.0,
        "duration_s": 10.0,
    }
    summary |= {"failure_ratio": 0.02, "users": 50, "requests": 4000, "failures": 80, **_latencies(slower)}
    summary |= {"lateness_p99_ms": 11.0, "task_processing_p95_ms": 800.0, "plan_hash": "ab", "commit": "cd"}
    yield "loadtest_summary", {}, summary
    for name in NAMES:
        own = {"rate": 200.0 * slower, "requests": 2000, "failures": 40, **_latencies(slower)}
        yield "loadtest_endpoint", {"name": name}, own
    results = (("response_p95", "objective", 0), ("availability", "objective", 1), ("lateness", "health", 1))
    for name, kind, passed in results:
        judged = {"observed": 0.3, "limit": 0.2, "passed": passed, "asked": f"{name} < limit", "observed_text": "300 ms"}
        yield "loadtest_objective", {"objective": name, "kind": kind}, judged


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A server with two runs in it."""
    with Influxd(tmp_path_factory.mktemp("influx")) as server:
        yield fill(server)


def rows(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points of all series, each with its tags and columns, without their times."""
    return [
        {
            key: value
            for key, value in {**one.get("tags", {}), **dict(zip(one["columns"], values, strict=True))}.items()
            if key != "time"
        }
        for one in series
        for values in one["values"]
    ]


@pytest.mark.parametrize("uid", [path.stem for path in BOARDS])
def test_every_query_finds_something(filled: Filled, uid: str) -> None:
    """No query of a dashboard is an error, and each finds points in a database that has some of every measurement."""
    empty = {query.where for query in filled.board(uid).queries() if not _has_values(filled, query)}
    assert empty <= EMPTY


def _has_values(filled: Filled, query: Query) -> bool:
    found = rows(filled.server.query(query.text))
    return any(value is not None for row in found for value in row.values())


@pytest.mark.parametrize("uid", [path.stem for path in BOARDS])
def test_every_query_runs_where_nothing_is(filled: Filled, uid: str) -> None:
    """Names that no run has, and that would be read as regular expressions, give empty answers and no errors."""
    odd = dict.fromkeys(("scenario", "run", "run_a", "run_b"), "a'b\"(c|/d\\")
    for query in filled.board(uid, **odd, endpoint=["x+", "(/"], metric=["$"]).queries():
        found = filled.server.query(query.text)
        assert found == [] or "run_id" not in query.text, query


def test_variables_offer_what_is_there(filled: Filled) -> None:
    """Scenarios, runs, request names and metrics, each from the choice before it."""
    found: dict[str, list[str]] = {}
    for uid in ("loadtest-live", "loadtest-stack", "loadtest-compare"):
        for query in filled.board(uid).queries():
            if query.kind == "variable":
                found[query.where] = sorted(row["value"] for row in rows(filled.server.query(query.text)))
    assert found["loadtest-live variable scenario"] == [SCENARIO]
    assert found["loadtest-live variable run"] == list(RUNS)
    assert found["loadtest-live variable endpoint"] == sorted(NAMES)
    assert found["loadtest-stack variable metric"] == sorted(METRICS)
    assert found["loadtest-compare variable endpoint"] == sorted(["*", *NAMES])


def test_shares_are_exact(filled: Filled) -> None:
    """Within 200 ms and failed: sums over workers, names and seconds, of the chosen run alone."""
    (within,) = rows(filled.panel("loadtest-live", 5))
    assert within == {"share": 0.95}
    (failed,) = rows(filled.panel("loadtest-live", 6))
    assert failed == {"failed": FAILED / REQUESTS}


def test_heatmap_counts_each_request_once(filled: Filled) -> None:
    """The columns of a second are the requests between two bounds, and add up to all of them."""
    found = [row for row in rows(filled.panel("loadtest-live", 13)) if row["+Inf"] is not None]
    assert len(found) == SECONDS
    counts = {bound: count for bound, count in found[0].items() if count}
    assert counts == {"100": 4 * 80, "200": 4 * 15, "500": 4 * 4, "+Inf": 4 * 1}
    assert sum(found[0].values()) == 4 * REQUESTS
    assert list(found[0]) == [*(str(bound) for bound in bounds_ms()), "+Inf"]


def test_rates_are_per_second_however_long_the_step(filled: Filled) -> None:
    """A sum over a step of several seconds is divided by its length."""
    for seconds in (1, 5):
        board = filled.board("loadtest-live")
        (query,) = [panel for panel in board.dashboard["panels"] if panel["id"] == 16]
        found = filled.server.query(board.put_in(query["targets"][0]["query"], seconds * 1000))
        assert {one["tags"]["name"] for one in found} == set(NAMES)
        full = [row["ended"] for row in rows(found) if row["ended"] is not None]
        assert max(full) == 2 * REQUESTS
        assert len(full) >= len(NAMES) * SECONDS / seconds


def test_percentiles_come_as_they_were_written(filled: Filled) -> None:
    """At a step of a second, a percentile is the one of that second; the newest run is twice as slow."""
    found = [row for row in rows(filled.panel("loadtest-live", 12)) if row["p95"] is not None]
    assert found == [{"p50": 200.0, "p95": 204.0, "p99": 206.0, "max": 210.0}] * SECONDS


def test_worst_second_is_shown_where_steps_are_longer(filled: Filled) -> None:
    """Lateness climbs by a millisecond a second: a step of five seconds shows its last one."""
    board = filled.board("loadtest-generator")
    (panel,) = [panel for panel in board.dashboard["panels"] if panel["id"] == 12]
    found = rows(filled.server.query(board.put_in(panel["targets"][0]["query"], 5000)))
    assert [row["p99"] for row in found if row["p99"] is not None] == [6.0, 11.0]


def test_mean_wait_is_response_less_service(filled: Filled) -> None:
    """Computed of each second before the worst of a step is taken."""
    found = rows(filled.panel("loadtest-endpoints", 16))
    assert {row["waited"] for row in found if row["waited"] is not None} == {20.0}


def test_totals_of_the_endpoints(filled: Filled) -> None:
    """A row a request name, exact for the shown time; a chosen name alone has its row alone."""
    found = rows(filled.panel("loadtest-endpoints", 2))
    expected = {"requests": 2 * REQUESTS * SECONDS, "failed": 0.02, "within 200 ms": 0.95, "within 500 ms": 0.99}
    expected |= {"mean": SUM_US / REQUESTS, "received": 2 * 5000 * SECONDS}
    assert found == [{"name": name, **expected} for name in NAMES]
    one = rows(filled.panel("loadtest-endpoints", 2, endpoint=[NAMES[0]]))
    assert [row["name"] for row in one] == [NAMES[0]]
    both = rows(filled.panel("loadtest-endpoints", 2, endpoint=list(NAMES)))
    assert [row["name"] for row in both] == list(NAMES)


def test_probes_have_a_series_each(filled: Filled) -> None:
    """Gauges are told apart by metric and selector, and the repeated panel asks for one metric at a time."""
    (cpu,) = filled.panel("loadtest-stack", 2)
    assert cpu["tags"] == {"metric": "cpu", "selector": "api"}
    assert [value for _, value in cpu["values"]] == [0.5 + second / 100 for second in range(SECONDS)]
    (celery,) = filled.panel("loadtest-stack", 13)
    assert celery["tags"] == {"metric": "tasks_in_progress", "selector": "-"}
    repeated = [query for query in filled.board("loadtest-stack").queries() if " panel 22 " in query.where]
    assert [filled.server.query(query.text)[0]["tags"]["metric"] for query in repeated] == list(METRICS)


def test_comparison_has_both_runs_second_by_second(filled: Filled) -> None:
    """The same elapsed seconds in both, whatever time it was, and the values of each run."""
    sides = {letter: rows(filled.panel("loadtest-compare", 12, letter)) for letter in "AB"}
    for letter, slower in (("A", 1), ("B", 2)):
        assert sides[letter] == [{"elapsed_s": second, letter: slower * 102.0} for second in range(SECONDS)]


def test_differences_have_the_columns_that_are_subtracted(filled: Filled) -> None:
    """A's and B's tables have a row a request name, and the columns that the panel's transformations name."""
    panel = next(panel for panel in filled.board("loadtest-compare").dashboard["panels"] if panel["id"] == 3)
    known = {name for letter in "AB" for row in rows(filled.panel("loadtest-compare", 3, letter)) for name in row}
    binary = [one["options"]["binary"] for one in panel["transformations"] if one["id"] == "calculateField"]
    assert len(binary) == 8
    assert {side["matcher"]["options"] for one in binary for side in (one["left"], one["right"])} <= known
    assert {row["name"]: row["B rate"] for row in rows(filled.panel("loadtest-compare", 3, "B"))} == dict.fromkeys(NAMES, 400.0)


def test_runs_and_their_counts(filled: Filled) -> None:
    """Both runs are in a range that holds both, with the length that a link to them needs."""
    found = rows(filled.panel("loadtest-runs", 6))
    assert [(row["run_id"], row["verdict"], row["p95"], row["length"]) for row in found] == [
        (RUNS[1], "fail", 204.0, 70_000),
        (RUNS[0], "pass", 102.0, 70_000),
    ]
    counts = [rows(filled.panel("loadtest-runs", number)) for number in (1, 2, 3, 4)]
    assert counts == [[{"runs": 2}], [{"runs": 1}], [{"runs": 1}], []]


def test_objectives_of_a_run(filled: Filled) -> None:
    """Each objective and health check of the chosen run, once."""
    found = {row["objective"]: (row["kind"], row["passed"]) for row in rows(filled.panel("loadtest-runs", 7))}
    assert found == {"response_p95": ("objective", 0), "availability": ("objective", 1), "lateness": ("health", 1)}
    assert [row["objective"] for row in rows(filled.panel("loadtest-generator", 31))] == ["lateness"]


def test_annotations_name_event_and_text(filled: Filled) -> None:
    """Each event of the chosen run is in one annotation query, with the columns that Grafana is told to look for."""
    seen: list[str] = []
    for query in filled.board("loadtest-live").queries():
        if query.kind == "annotation":
            for row in rows(filled.server.query(query.text)):
                assert row == {"headline": row["kind"], "kind": row["kind"], "said": f"about {row['kind']}"}
                seen.append(row["kind"])
    kinds = ["start", "stop", "stage", "fault", "halt", "abort", "worker_lost", "process_ended", "objective_missed"]
    assert sorted(seen) == sorted(kinds)
