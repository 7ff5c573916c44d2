"""What a probe returns."""

from typing import NamedTuple


class Sample(NamedTuple):
    """One value of one gauge, in the metric's base unit."""

    metric: str
    selector: str | None
    value: float
