"""Chance that can be repeated: what happens to a task is a function of its id."""

import hashlib
from uuid import UUID


def uniform(purpose: str, seed: int, task_id: UUID) -> float:
    """A number in [0, 1), evenly spread over task ids and independent between purposes."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{task_id}".encode()).digest()
    # 53 bits are what a float's mantissa holds.
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def is_dropped(task_id: UUID, ratio: float) -> bool:
    """Whether FAULT_DROP_RATIO keeps the task from ever being worked: a share of `ratio` (0..1)."""
    return uniform("drop", 0, task_id) < ratio
