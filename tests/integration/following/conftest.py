"""What tests of following and sampling start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests.store.folder import RunFolder, create_folder
from tests.task_target import TaskTarget, running_task_target


@pytest.fixture
def target() -> Iterator[TaskTarget]:
    """A target without tasks."""
    with running_task_target() as target:
        yield target


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """An empty run."""
    return create_folder(tmp_path, "x")
