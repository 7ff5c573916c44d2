"""The ready file, by which a process tells its manager that it can work."""

import os
from pathlib import Path


def withdraw(path: Path | None) -> None:
    """Remove what an earlier process left, so that nobody waits on a promise of the dead."""
    if path is not None:
        path.unlink(missing_ok=True)


def announce(path: Path | None) -> None:
    """Create the file with this process's id in it; never seen half written."""
    if path is None:
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(f"{os.getpid()}\n")
    draft.replace(path)
