"""One line of the examination: what was looked at, what it is, what it must be, and how it is mended."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warn", "fail", "unknown"]
STATUSES: tuple[Status, ...] = ("ok", "warn", "fail", "unknown")


@dataclass(frozen=True)
class Row:
    """One check. `fail`: the run cannot start or would be invalid; `warn`: its figures may suffer."""

    what: str
    found: str
    needed: str
    status: Status
    mend: str = ""
    """The command that mends it, or what to do; empty when all is well."""


def row(what: str, found: str, needed: str, status: Status, mend: str) -> Row:
    """A row that names a remedy only where one is needed."""
    return Row(what, found, needed, status, "" if status == "ok" else mend)


def unknown(what: str, needed: str, why: str = "cannot be read here") -> Row:
    """A row of something that this machine does not tell."""
    return Row(what, why, needed, "unknown")


def unless(good: bool, otherwise: Status = "warn") -> Status:
    """`ok` where it holds."""
    return "ok" if good else otherwise


def graded(value: float, comfortable: float, least: float) -> Status:
    """`fail` below the least, `warn` below what is comfortable."""
    return "fail" if value < least else unless(value >= comfortable)


def at_least(what: str, found: float | None, needed: float, short: Status, mend: str) -> Row:
    """A row of a number that must not be smaller than another; `short` is its status when it is."""
    wanted = f"{needed:,.0f}"
    if found is None:
        return unknown(what, wanted)
    shown = "no limit" if found == float("inf") else f"{found:,.0f}"
    return row(what, shown, wanted, unless(found >= needed, short), mend)
