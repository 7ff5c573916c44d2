"""The garbage collector of a process that serves."""

import gc

# Objects made more than freed before the young ones are looked through; Python's own is 700.
YOUNG = 20_000


def settle() -> None:
    """Leave what the start has made alone, and look less often: most garbage has no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 50)
