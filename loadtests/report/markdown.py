"""`report.md`: the verdict for a comment on a pull request, at most MOST_LINES lines whatever the run had."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loadtests.report.authentication import authentication_line
from loadtests.report.evidence import Evidence
from loadtests.report.rows import Row, answered, fault_lines, reasons, rows
from loadtests.report.verdict import Verdict
from loadtests.store.ledger import TaskLedger
from loadtests.units import format_duration, percent

MOST_LINES = 60
MOST_ROWS = 30
MOST_NOTES = 5
MOST_FAULTS = 4
MOST_NAMES = 3
"""Ids of tasks of each kind of trouble."""
LONGEST_TEXT = 300
_ACTIVE = re.compile(r"[\\`*\[\]|~#]|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown might read as markup; an underscore within a word and a `<` before a space or a `=` are none."""


def markdown_report(evidence: Evidence, verdict: Verdict, summary: Mapping[str, Any]) -> str:
    """The text: verdict, why, objectives with the missed ones first, a few lines of facts, faults, notes."""
    lines = [f"## {verdict.word.upper()}: {plain(evidence.plan.scenario.name)}", ""]
    if verdict.word == "invalid":
        lines += [*_bullets(reasons(verdict)), ""]
    lines += [*_table(rows(evidence, verdict)), "", *_facts(evidence, verdict, summary)]
    told = [plain(line) for line in fault_lines(summary)]
    lines += [*(f"- {line}" for line in _capped(told, MOST_FAULTS, "faults")), ""]
    lines += [f"> {line}" for line in _capped([plain(note) for note in verdict.notes], MOST_NOTES, "notes")]
    return "\n".join(lines).rstrip() + "\n"


def plain(text: str) -> str:
    """Text on one line that Markdown shows as it is: nothing in it ends a table's cell, is a tag or calls somebody."""
    line = " ".join(text.split())
    cut = line if len(line) <= LONGEST_TEXT else line[: LONGEST_TEXT - 1] + "…"
    escaped = _ACTIVE.sub(lambda match: "\\" + match[0], cut.replace("&", "&amp;"))
    return escaped.replace("@", "@<!-- -->")


def _bullets(texts: Sequence[str]) -> Iterable[str]:
    return (f"- {line}" for line in _capped([plain(text) for text in texts], MOST_NOTES, "reasons"))


def _table(found: Sequence[Row]) -> Iterable[str]:
    yield "| | objective | limit | observed | margin | source |"
    yield "|---|---|---:|---:|---:|---|"
    for row in found[:MOST_ROWS]:
        status = ("**FAIL**" if row.result.status == "fail" else "pass") + row.result.mark
        cells = (plain(text) for text in _cells(row))
        yield f"| {status} | {plain(row.result.name)}: {' | '.join(cells)} |"
    rest = found[MOST_ROWS:]
    if rest:
        missed = sum(row.result.status == "fail" for row in rest)
        yield f"| | … and {len(rest)} more, {missed} of them missed: see `report.html` | | | | |"


def _cells(row: Row) -> tuple[str, ...]:
    return row.metric, row.limit, row.result.observed_text, row.margin_text, row.result.source


def _facts(evidence: Evidence, verdict: Verdict, summary: Mapping[str, Any]) -> Iterable[str]:
    requests, failures = summary["requests"], summary["failures"]
    share = f" ({percent(failures / requests)})" if failures else ""
    yield (
        f"- {requests:,} requests in {summary['duration_s']:g} s by {summary['users']:,} users: "
        f"{answered(summary)}, {failures:,} failed{share}"
    )
    response, service = (_latency(summary["total"][kind]) for kind in ("response_time_ms", "service_time_ms"))
    yield f"- Response time {response}; service time {service}"
    if evidence.tasks is not None:
        yield f"- {_tasks(evidence.tasks.ledger)}"
    authentication = authentication_line(summary)
    if authentication is not None:
        yield f"- Apart from them: {plain(authentication)}"
    checks, failed = len(verdict.health), sum(result.status == "fail" for result in verdict.health)
    health = f"{failed} of {checks} health checks failed" if failed else f"all {checks} health checks passed"
    commit = evidence.manifest.get("commit") or "no commit"
    yield f"- Generator: {health}. Run `{evidence.folder.run_id}`, {plain(str(commit))}"


def _tasks(book: TaskLedger) -> str:
    """On one line, so that the report keeps its length."""
    outcomes = {"completed": book.completed, "failed": book.failed, "unfinished": book.unfinished, "lost": book.lost}
    rest = {"accepted again": book.duplicated, "foreign": book.foreign}
    counts = [f"{count:,} {word}" for word, count in outcomes.items()]
    counts += [f"{count:,} {word}" for word, count in rest.items() if count]
    named = [(kind, ", ".join(ids[:MOST_NAMES]) + (" …" if len(ids) > MOST_NAMES else "")) for kind, ids in book.names.items()]
    return "; ".join(
        [f"{book.accepted:,} tasks accepted: {', '.join(counts)}", *(f"{kind}: {plain(ids)}" for kind, ids in named if ids)]
    )


def _latency(values: Mapping[str, float] | None) -> str:
    if values is None:
        return "no data"
    return ", ".join(f"{name} {format_duration(values[name] / 1e3)}" for name in ("p50", "p95", "p99", "max"))


def _capped(lines: Sequence[str], most: int, what: str) -> list[str]:
    rest = len(lines) - most
    return [*lines[:most], f"… and {rest} more {what}"] if rest > 0 else list(lines)
