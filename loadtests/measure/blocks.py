"""What chance does to the figures of one run: its seconds are drawn anew, in blocks, as neighbours depend on each other.

Circular blocks (D. Politis and J. Romano, A circular block-resampling procedure for stationary data, 1992) of the cube root of
the run's length (H. Künsch, The jackknife and the bootstrap for general stationary observations, 1989). They know nothing of
what makes two runs differ as a whole, so their intervals are too narrow for a verdict: see `resampling.py`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 1_000
SEED = 1992


def redrawn(seconds: int) -> Floats:
    """How often each second of a run is in each of its resamples (RESAMPLES x seconds)."""
    rng = np.random.default_rng(SEED + seconds)
    length = max(1, round(seconds ** (1 / 3)))
    starts = rng.integers(seconds, size=(RESAMPLES, -(-seconds // length)))
    drawn = ((starts[:, :, None] + np.arange(length)) % seconds).reshape(RESAMPLES, -1)[:, :seconds]
    times = np.zeros((RESAMPLES, seconds))
    np.add.at(times, (np.arange(RESAMPLES)[:, None], drawn), 1.0)
    return times


def quantiles(seconds: Sequence[Mapping[int, int]], times: Floats, qs: Sequence[float]) -> list[Floats]:
    """Quantiles of each resample, nearest rank; `seconds` have values and how many there were of each in that second.

    Resamples without a value are left out, so that there may be fewer than RESAMPLES.
    """
    values = sorted({value for second in seconds for value in second})
    place = {value: column for column, value in enumerate(values)}
    counts = np.zeros((len(seconds), len(values)))
    for row, second in enumerate(seconds):
        for value, count in second.items():
            counts[row, place[value]] = count
    upto = (times @ counts).cumsum(axis=1)
    upto = upto[upto[:, -1] > 0] if values else upto[:0]
    known = np.asarray(values, float)
    ranks = (np.maximum(1.0, np.ceil(q * upto[:, -1:] - 1e-9)) for q in qs)
    return [known[(upto < rank).sum(axis=1)] if len(upto) else np.empty(0) for rank in ranks]


def ratios(parts: Sequence[float], wholes: Sequence[float], times: Floats) -> Floats:
    """Sums of the parts over sums of the wholes of each resample that has any."""
    part, whole = times @ np.asarray(parts, float), times @ np.asarray(wholes, float)
    found: Floats = part[whole > 0] / whole[whole > 0]
    return found
