"""How a simulated task goes: pure functions of seed and task id."""

import math
from uuid import UUID

from app.core.chance import uniform

# Tasks never outlast this many means, so a time limit can be chosen that they never reach.
CAP_MEANS = 10


def duration_s(seed: int, task_id: UUID, mean_s: float) -> float:
    """Seconds that the task works: exponential with mean `mean_s`, capped at ten means.

    The inverse of the exponential's distribution function, -mean * ln(1 - u), at a uniform u that
    is fixed by (seed, task id). The cap takes exp(-10), less than 0.005 %, off the mean.
    """
    if mean_s == 0:
        return 0.0
    drawn = uniform("duration", seed, task_id)
    return min(-mean_s * math.log1p(-drawn), CAP_MEANS * mean_s)


def fails(seed: int, task_id: UUID, ratio: float) -> bool:
    """Whether the task fails for good, which a share of `ratio` (0..1) of all tasks does."""
    return ratio > 0 and uniform("failure", seed, task_id) < ratio


def stumbles(seed: int, task_id: UUID, attempt: int, ratio: float) -> bool:
    """Whether this attempt fails though another might not; a share of `ratio` of all attempts."""
    return ratio > 0 and uniform(f"attempt {attempt}", seed, task_id) < ratio
