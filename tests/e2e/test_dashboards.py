"""Every query of every dashboard, on a real InfluxDB that two real runs filled: each gives what the runs' files hold."""

import json
import math
from pathlib import Path
from typing import Any

from tests.e2e.command import Finished, run
from tests.e2e.conftest import HOSTED, Target
from tests.grafana_macros import ALL, Board
from tests.influxd import Influxd, points_of
from tests.influxql_in_sqlite import Points, Row, is_timed

BOARDS = sorted((Path(__file__).parents[2] / "dashboards" / "json").glob("*.json"))
SECONDS = 6
SILENT = ("Trouble", "Faults", "Invalid", "CPU of", "Memory of", "Redis", "Probes without an answer", "$metric")
"""What a healthy pair of runs on somebody else's stack has nothing of."""


def _run(target: Target, out: Path, influxd: Influxd, *more: str) -> Finished:
    # The second one misses an objective and has failures of more than one kind to show.
    where = ("--users", "40", "--duration", f"{SECONDS}s", "--host", target.host, "--influx", influxd.url, "--workers", "2")
    finished = run(*(more or (HOSTED,)), *where, out=out, env=target.env).finish()
    assert finished.code in (0, 1), finished.output + finished.errors
    return finished


def test_every_query_gives_what_the_files_hold(target: Target, out: Path, tmp_path: Path) -> None:
    """Panels, variables and annotations, value by value, against an engine of another kind that was given the files alone."""
    missing_routes = tmp_path / "missing.toml"
    text = Path(HOSTED).read_text().replace('name = "', 'journeys = ["lost.py"]\nname = "', 1)
    missing_routes.write_text(text + MORE)
    (tmp_path / "lost.py").write_text(LOST)
    (tmp_path / "influxd").mkdir()
    with Influxd(tmp_path / "influxd") as influxd:
        folders = [
            _run(target, out / "a", influxd).folder,
            _run(target, out / "b", influxd, str(missing_routes)).folder,
        ]
        files = Points({key: fields for folder in folders for key, fields in points_of(folder).items()})
        queries = values = 0
        silent = []
        for board in _boards(folders):
            for query in board.queries():
                here, there = _plain(influxd.query(query.text, epoch="ns"), is_timed(query.text)), files.ask(query.text)
                assert _alike(here, there), f"{query.where}: {query.text}\n{here}\n{there}"
                queries += 1
                values += sum(value is not None for row in here for value in row)
                silent += [] if here else [query.where]
    print(f"\n{queries} queries, {values} values compared; nothing to show for {len(silent)}: {silent}")
    assert values > 1000
    assert all(any(word in where for word in SILENT) for where in silent), silent


MORE = """
[[mix]]
journey = "lost"

[probes.postgres]
db_connections = "SELECT count(*) FROM pg_stat_activity"
tasks_in_progress = "SELECT count(*) FROM outbox"
"""
LOST = '''
from loadtests.traffic.journeys import Person, journey


@journey(requests=["lost"])
def lost(person: Person) -> None:
    """Ask for what is not there."""
    person.client.get("/api/v1/nowhere", name="lost")
'''


def _boards(folders: list[Path]) -> list[Board]:
    """Each dashboard as its reader finds it, for the second run, or for both."""
    older, newer = (folder.name for folder in folders)
    starts = [_start_ms(folder) for folder in folders]
    values = {"scenario": ALL, "run": newer, "run_a": older, "run_b": newer, "metric": [ALL]}
    options = {
        "metric": ["db_connections", "cpu", "memory", "tasks_in_progress"],
        "endpoint": ["list_tasks", "create_task", "lost"],
    }
    boards = []
    for path in BOARDS:
        endpoint: Any = "*" if path.stem == "loadtest-compare" else [ALL]
        from_ms, to_ms = starts[0] - 60_000, starts[1] + (SECONDS + 60) * 1000
        boards.append(Board(json.loads(path.read_text()), {**values, "endpoint": endpoint}, from_ms, to_ms, options))
    return boards


def _start_ms(folder: Path) -> int:
    events = (json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines())
    return round(next(float(event["epoch"]) for event in events if event["event"] == "start") * 1000)


def _plain(series: list[dict[str, Any]], timed: bool) -> list[Row]:
    """As `Points.ask` has them."""
    found: list[Row] = []
    for one in series:
        if one["columns"] == ["key", "value"]:
            found += [(value,) for _, value in one["values"]]
            continue
        tags = [value for _, value in sorted(one.get("tags", {}).items())]
        found += [
            (*tags, *([time_ns] if timed else []), *row)
            for time_ns, *row in one["values"]
            if any(value is not None for value in row)
        ]
    return found


def _alike(here: list[Row], there: list[Row]) -> bool:
    """The same rows in any order, numbers to nine digits."""
    if len(here) != len(there):
        return False
    pairs = zip(sorted(here, key=_order), sorted(there, key=_order), strict=True)
    return all(len(one) == len(other) and all(map(_same, one, other)) for one, other in pairs)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def _order(row: Row) -> str:
    """Whole numbers look alike, whatever their type."""
    return repr([round(float(one), 6) if isinstance(one, int | float) else one for one in row])
