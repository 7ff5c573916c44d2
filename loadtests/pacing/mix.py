"""Which journey a turn is: a weighted choice from one uniform number."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate


class Mix:
    """Weights of journeys, in the order of the scenario. Raises ValueError unless all are positive."""

    def __init__(self, weights: Sequence[float]) -> None:
        if not weights or any(weight <= 0 for weight in weights):
            raise ValueError("every weight of a mix must be positive")
        total = sum(weights)
        self.shares = tuple(weight / total for weight in weights)
        self._edges = tuple(accumulate(weights))

    def pick(self, uniform: float) -> int:
        """Index of the journey for `uniform` in [0, 1)."""
        return min(bisect_right(self._edges, uniform * self._edges[-1]), len(self._edges) - 1)
