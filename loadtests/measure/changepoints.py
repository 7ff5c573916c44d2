"""tmp"""

from dataclasses import dataclass


@dataclass
class ChangePoint:
    """x"""

    index: int
    before: float
    after: float
    relative: float


def change_points(values):
    """X"""
    return []
