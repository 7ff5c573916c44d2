"""The rules of `make bench-db`: what it refuses, and that it leaves no statement out."""

from typing import Any

import pytest
from psycopg import Connection

from app.core.database import LOOKUPS
from app.settings import WorkerSettings
from benchmarks import render
from benchmarks.cases import TYPICAL, VALUES, Case, Query, differences, queries
from benchmarks.database import run
from benchmarks.dataset import Shape
from benchmarks.plans import MODES, Measured, Node, Plan, faults, measure

INDEX_SCAN = {
    "Node Type": "Index Scan",
    "Relation Name": "tasks",
    "Index Name": "ix_tasks_user_created",
    "Actual Rows": 20.0,
    "Actual Loops": 1,
}


def test_a_scan_of_a_whole_table_is_refused(db: Connection[Any]) -> None:
    """A condition that no index serves; the server itself says how it finds the rows."""
    query = Query("find_by_prompt", "SELECT id FROM tasks WHERE prompt = $1")
    lines = faults(Measured(query.name, "any", measure(db, query, Case("any", ["write"]))))
    assert lines == [f"find_by_prompt (any), {mode} plan: Seq Scan on tasks" for mode in MODES]


def test_a_sorted_list_is_refused(db: Connection[Any]) -> None:
    """An order that no index has; the same order is fine in what is no list."""
    text = "SELECT id FROM users WHERE id = ANY($1::uuid[]) ORDER BY full_name"
    for name, refused in (("list_users", True), ("find_users", False)):
        measured = Measured(name, "any", measure(db, Query(name, text), Case("any", [[]])))
        assert all(plan.sorts == 1 for plan in measured.plans.values())
        sorting = [line for line in faults(measured) if "sorts" in line]
        assert len(sorting) == (2 if refused else 0)


@pytest.mark.parametrize("kind", ["Sort", "Incremental Sort"])
def test_a_sort_deep_in_one_of_the_plans_is_found(kind: str) -> None:
    """Both kinds of sorting, below other nodes."""
    sort = {"Node Type": kind, "Plans": [INDEX_SCAN]}
    plan = told({"Node Type": "Aggregate", "Plans": [{"Node Type": "Limit", "Plans": [sort]}]})
    lines = faults(Measured("list_tasks", "any", {"custom": plan}))
    assert lines == ["list_tasks (any), custom plan: sorts what an index has in order"]
    assert plan.brief == f"{kind}, Index Scan ix_tasks_user_created"


def test_small_tables_may_be_read_whole() -> None:
    """Only the tables that grow are guarded."""
    scan = {**INDEX_SCAN, "Node Type": "Seq Scan", "Relation Name": "teams"}
    assert faults(Measured("find_team", "any", {"custom": told(scan)})) == []


@pytest.mark.parametrize(
    ("query", "about", "ms", "refused"),
    [
        ("list_tasks", TYPICAL, 1.0, True),
        ("list_tasks", f"{TYPICAL}, second page", 1.5, True),
        ("list_tasks", TYPICAL, 0.9, False),
        ("list_tasks", "heavy user", 9.0, False),
        ("find_task", TYPICAL, 9.0, False),
    ],
)
def test_a_typical_list_is_held_to_a_time(query: str, about: str, ms: float, refused: bool) -> None:
    """Below one millisecond, at the median, in each of the plans."""
    plan = told(INDEX_SCAN, ms / 2, ms, 2 * ms)
    assert plan.execution_ms == ms
    assert bool(faults(Measured(query, about, {"generic": plan}))) is refused


def test_rows_thrown_away_count() -> None:
    """Of every execution of the node; an index's own node is not counted beside its table's."""
    bitmap = {**INDEX_SCAN, "Node Type": "Bitmap Index Scan"}
    del bitmap["Relation Name"]
    scan = {
        **INDEX_SCAN,
        "Node Type": "Bitmap Heap Scan",
        "Rows Removed by Filter": 5,
        "Actual Loops": 2,
        "Plans": [bitmap],
    }
    assert told(scan).rows == 50


def test_every_statement_has_values() -> None:
    """One that is new and one that is gone are told."""
    found = queries()
    assert differences(found, VALUES) == []
    assert len({query.name for query in found}) == len(found)
    planted = differences([*found[1:], Query("find_nothing", "SELECT 1")], VALUES)
    assert planted == [
        "find_nothing: benchmarks/cases.py has no values for it",
        f"{found[0].name}: values for no such statement",
    ]


def test_measuring_changes_nothing(db: Connection[Any]) -> None:
    """What a statement writes is rolled back, each time."""
    text = "INSERT INTO teams (id, name) VALUES (gen_random_uuid(), $1) RETURNING id"
    plans = measure(db, Query("create_team", text), Case("any", ["planted"]))
    assert set(plans) == set(MODES)
    assert db.execute("SELECT count(*) FROM teams WHERE name = 'planted'").fetchone() == (0,)
    assert db.execute("SHOW plan_cache_mode").fetchone() == ("auto",)


def test_the_whole_of_it(db: Connection[Any], worker_settings: WorkerSettings) -> None:
    """With few tasks: every statement is measured and told, and the database is gone."""
    result = run(worker_settings, Shape(3000))
    assert result["tables"]["tasks"]["rows"] == 3000
    told = {one["query"] for one in result["statements"]}
    assert told == set(VALUES)
    assert all(
        (one["guide"] is not None) == one["query"].startswith("list_")
        for one in result["statements"]
    )
    assert all(name in render.page(result) and name in render.table(result) for name in told)
    # As the application's own connections are set.
    settings = result["settings"]
    assert settings["api"] == {"jit": "off", "random_page_cost": "1.1", "TimeZone": "UTC"}
    assert settings["worker"] == settings["api"] | LOOKUPS
    assert settings["relay"] == LOOKUPS
    left = db.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'agenthq_bench_%'")
    assert left.fetchone() == (0,)


def told(node: Node, *times_ms: float) -> Plan:
    """The plan that EXPLAIN tells with these nodes and times."""
    times = times_ms or (0.1,)
    return Plan.of([{"Plan": node, "Planning Time": 0.1, "Execution Time": ms} for ms in times])
