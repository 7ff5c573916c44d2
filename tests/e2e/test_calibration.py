"""What is reported of a server whose latency is known, against the exact figures: the code that `make bench` runs."""

from collections.abc import Sequence

import pytest

from benchmarks.calibration import DISTRIBUTIONS, Row, calibrate
from benchmarks.latency_server import STALL_S

pytestmark = pytest.mark.alone

TOLERANCE = 0.005
STALL_TOLERANCE_S = 0.04
"""For the theory of the stall, which leaves out the time that the backlog takes."""


@pytest.fixture(scope="module")
def rows() -> Sequence[Row]:
    """One calibration for all tests."""
    return calibrate()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_quantiles_are_exact(rows: Sequence[Row], distribution: str) -> None:
    """Within half a percent of what the server itself measured, at every quantile."""
    found = [row for row in rows if row.distribution == distribution]
    assert len(found) == 4
    for row in found:
        assert row.error is not None
        assert abs(row.error) <= TOLERANCE, row


def test_stall_is_seen_from_due_as_theory_says(rows: Sequence[Row]) -> None:
    """Q(q) = S - (1 - q) T: everybody who was due during the stall waited for its end, also those who could not yet send."""
    found = [row for row in rows if row.distribution == "stall" and row.kind == "response"]
    assert len(found) == 3
    for row in found:
        assert row.exact_ms is not None
        assert abs(row.reported_ms - row.exact_ms) <= STALL_TOLERANCE_S * 1e3, row


def test_stall_is_hardly_seen_from_the_send(rows: Sequence[Row]) -> None:
    """Measured from the send alone, the same stall does not exist: that is why the other time is the one that is judged."""
    found = [row for row in rows if row.distribution == "stall" and row.kind == "service"]
    assert len(found) == 3
    assert max(row.reported_ms for row in found) < STALL_S * 1e3 / 20
