"""From requests in each second of a log to the stages of a load with the same rate over time."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

MOST_STAGES = 300
LEAST_STAGE_S = 0.5
"""A shorter piece at either end, where the log begins or ends within a second, belongs to its neighbour."""
WIDTHS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
LEAST_USERS = 10


def stage_counts(seconds: Mapping[int, int], begin_s: float, end_s: float) -> list[tuple[float, int]]:
    """(length in s, requests) of the pieces from `begin_s` to `end_s`, both on the clock of `seconds`.

    Pieces end on whole seconds, as many to each as keep them at MOST_STAGES or fewer.
    """
    edges = _edges(begin_s, end_s)
    counts = [0] * (len(edges) - 1)
    first, width_s = math.floor(begin_s), _width_s(end_s - begin_s)
    shift = 1 if edges[1] - first > width_s else 0  # the first piece has swallowed the short one before it
    for second, count in seconds.items():
        counts[min(max((second - first) // width_s - shift, 0), len(counts) - 1)] += count
    return [(end - begin, count) for (begin, end), count in zip(pairwise(edges), counts, strict=True)]


def users_for(pieces: list[tuple[float, int]]) -> int:
    """Users of whom none has more than one turn a second at the busiest time, but no more than there are requests."""
    busiest, total = max(count / length_s for length_s, count in pieces), sum(count for _, count in pieces)
    return max(LEAST_USERS, min(math.ceil(busiest), total))


def _width_s(span_s: float) -> int:
    fitting = (width_s for width_s in WIDTHS_S if span_s / width_s <= MOST_STAGES)
    return next(fitting, math.ceil(span_s / MOST_STAGES))


def _edges(begin_s: float, end_s: float) -> list[float]:
    edges = [begin_s, *_inner(begin_s, end_s), end_s]
    if len(edges) > 2 and edges[1] - begin_s < LEAST_STAGE_S:
        del edges[1]
    if len(edges) > 2 and end_s - edges[-2] < LEAST_STAGE_S:
        del edges[-2]
    return edges


def _inner(begin_s: float, end_s: float) -> Iterator[float]:
    """Edges on whole seconds between the two ends."""
    width_s = _width_s(end_s - begin_s)
    edge_s = math.floor(begin_s) + width_s
    while edge_s < end_s:
        yield float(edge_s)
        edge_s += width_s
