"""The table that is printed, and README.md from results/database.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.plans import MAX_LIST_MS, NEVER_READ_WHOLE, is_list

_HEAD = (
    "statement",
    "values",
    "rows",
    "buffers",
    "planning ms",
    "generic ms",
    "custom ms",
    "guide's ms",
    "plan",
)
_NUMBERS = range(2, 8)


def table(result: Mapping[str, Any]) -> str:
    """All statements, one a line."""
    lines = [list(_HEAD), *(_cells(one) for one in result["statements"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def page(result: Mapping[str, Any]) -> str:
    """The whole page."""
    machine, tasks, users = result["measured"], result["tables"]["tasks"], result["tables"]["users"]
    lists = [one for one in result["statements"] if is_list(one["query"])]
    others = [one for one in result["statements"] if not is_list(one["query"])]
    lines = [
        "# The statements, measured",
        "",
        f"Made by `make bench-db` on {machine['date']} in {machine['minutes']:g} minutes, "
        "from `results/database.json`.",
        f"{machine['cpu']}, {machine['cores']} cores (shared with others), "
        f"Linux {machine['kernel']}, PostgreSQL {machine['postgresql']}.",
        "",
        f"{tasks['rows']:,} tasks ({tasks['mb']:,.0f} MB with indexes) of {users['rows']:,} users: "
        "one has 50,000, a hundred have 1,000, one has none, the others have about 100.",
        _others(result["tables"]),
        "",
        "Every statement of the API, of the workers and of the relay is prepared and run under "
        "EXPLAIN (ANALYZE, BUFFERS),",
        "over a connection set as that process sets its own:",
        "",
        *(f"- {process}: {_set(changed)}" for process, changed in result["settings"].items()),
        "",
        "PostgreSQL plans a prepared statement once for all (generic) or anew for each set of "
        "values (custom), as it sees fit:",
        f"both are measured. Times are the server's, medians of {result['executions']} executions "
        "after one that is not counted;",
        "rows are those taken from tables and indexes, buffers pages of 8 kB looked at, of the "
        "plan with more.",
        "What changes data is rolled back.",
        "",
        "## What is promised",
        "",
        "| | |",
        "|---|---|",
        *_promises(result),
        "",
        *_faults(result["faults"]),
        *_exceptions(result["exceptions"]),
        "## Lists",
        "",
        "Page and count are one statement. The last columns have the guide's four indexes in the "
        "place of ours,",
        "freshly built and so as compact as can be. Other load on the machine moves times, not "
        "buffers.",
        "",
        "| statement | values | rows | buffers | generic ms | custom ms | guide's buffers "
        "| guide's ms, both |",
        "|---|---|---|---|---|---|---|---|",
        *(_listed(one) for one in lists),
        "",
        "| statement | plan | with the guide's indexes, typical user |",
        "|---|---|---|",
        *_plans(lists),
        "",
        "## All others",
        "",
        "| statement | values | rows | buffers | planning ms | generic ms | custom ms | plan |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in others),
        "",
        "Read next: [README.md](../README.md).",
    ]
    return "\n".join(lines) + "\n"


def _others(tables: Mapping[str, Mapping[str, Any]]) -> str:
    named = [
        f"{tables[name]['rows']:,} {words}"
        for name, words in (
            ("outbox", "entries of the outbox"),
            ("idempotency_keys", "idempotency keys"),
            ("dead_letters", "dead letters"),
            ("activity_logs", "activity logs"),
        )
    ]
    return f"Besides: {', '.join(named)}."


def _set(settings: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "as the server is"


def _promises(result: Mapping[str, Any]) -> list[str]:
    faults = result["faults"]
    tables = ", ".join(sorted(NEVER_READ_WHOLE))
    return [
        f"| {what} | {'**missed**' if any(word in line for line in faults) else 'kept'} |"
        for what, word in (
            (f"no Seq Scan on {tables}", "Seq Scan"),
            ("no sorting of lists", "sorts"),
            (f"lists of a typical user below {MAX_LIST_MS:g} ms", "must be below"),
        )
    ]


def _faults(lines: Sequence[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""] if lines else []


def _exceptions(exceptions: Sequence[Sequence[str]]) -> list[str]:
    if not exceptions:
        return []
    return [
        "Excepted:",
        "",
        *(f"- {query} may read {table} from end to end: {why}" for query, table, why in exceptions),
        "",
    ]


def _cells(one: Mapping[str, Any]) -> list[str]:
    generic, custom = one["plans"]["generic"], one["plans"]["custom"]
    plan = generic["brief"] or "-"
    if custom["brief"] != generic["brief"]:
        plan = f"{plan}; custom: {custom['brief'] or '-'}"
    return [
        one["query"],
        one["about"],
        f"{max(generic['rows'], custom['rows']):,}",
        f"{max(generic['buffers'], custom['buffers']):,}",
        f"{custom['planning_ms']:.2f}",
        f"{generic['execution_ms']:.2f}",
        f"{custom['execution_ms']:.2f}",
        _guide(one),
        plan,
    ]


def _guide(one: Mapping[str, Any]) -> str:
    if one["guide"] is None:
        return ""
    return " / ".join(f"{one['guide'][mode]['execution_ms']:.2f}" for mode in ("generic", "custom"))


def _listed(one: Mapping[str, Any]) -> str:
    query, about, rows, buffers, _, generic, custom, guide, _ = _cells(one)
    theirs = max(plan["buffers"] for plan in one["guide"].values())
    cells = [query, about, rows, buffers, generic, custom, f"{theirs:,}", guide]
    return f"| {' | '.join(cells)} |"


def _plans(lists: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of the first values of each statement, which are a typical user's."""
    first = {one["query"]: one for one in reversed(lists)}
    return [
        f"| {query} | {_cells(one)[-1]} | {one['guide']['custom']['brief']} |"
        for query, one in reversed(first.items())
    ]


def _row(one: Mapping[str, Any]) -> str:
    query, about, rows, buffers, planning, generic, custom, _, plan = _cells(one)
    cells = [query, about, rows, buffers, planning, generic, custom, plan]
    return f"| {' | '.join(cells)} |"
