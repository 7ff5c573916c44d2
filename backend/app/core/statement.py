"""A statement of SQL with a name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """`name` labels it in the metrics and in `make bench-db`; `sql` has PostgreSQL's own $1, $2."""

    name: str
    sql: str
