"""What a run finds of its machine."""

import os
from pathlib import Path

import pytest

from loadtests.orchestrate.preflight import usable_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        pytest.param("max 100000\n", 64, id="none"),
        pytest.param("400000 100000\n", 4, id="four"),
        pytest.param("50000 100000\n", 1, id="half of one"),
        pytest.param("9900000 100000\n", 64, id="more than there are"),
        pytest.param(None, 64, id="no control groups"),
    ],
)
def test_a_container_has_the_cores_that_it_may_use(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its quota, or by those that it is bound to."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == cores
