"""The table of docs/metrics.md, read as a contract: what each measurement has."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
PERCENTILES = ("p50", "p90", "p95", "p99", "p999", "max", "mean")
EVERYWHERE = frozenset({"run_id", "scenario"})


@dataclass(frozen=True)
class Measurement:
    """One row of the table."""

    name: str
    tags: frozenset[str]
    fields: frozenset[str]


@cache
def contract() -> dict[str, Measurement]:
    """All measurements by name."""
    text = PAGE.read_text(encoding="utf-8").partition("## Prometheus")[0]
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.fullmatch(r"`loadtest_\w+`", cells[0]):
            name = cells[0].strip("`")
            found[name] = Measurement(name, EVERYWHERE | _codes(cells[2]), frozenset(_fields(cells[3])))
    return found


@cache
def bounds_ms() -> list[int]:
    """The bounds of the buckets."""
    listed = re.search(r"^.*Bounds: ([0-9, ]+) ms", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed is not None
    return [int(bound) for bound in listed[1].split(",")]


def _codes(cell: str) -> frozenset[str]:
    return frozenset(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", cell)))


def _fields(cell: str) -> set[str]:
    """Names in a cell, with what an ellipsis stands for."""
    names = set(_codes(cell))
    if "`le_1ms` …" in cell:
        names |= {f"le_{bound}ms" for bound in bounds_ms()}
    for kind in ("response", "service"):
        named = re.search(rf"`{kind}_p50_ms` …|`{kind}_…_ms`|`{kind}_`", cell)
        if named or f"{kind}_p50_ms" in names:
            names |= {f"{kind}_{name}_ms" for name in PERCENTILES}
    return names - {"response_", "service_"}
