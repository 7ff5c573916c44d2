"""The client against a real nginx, as the benchmarks use it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.target import LISTED, nginx, program
from benchmarks.tools import flat_out
from tests.http_lab import Lab


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A running nginx. In CI it must be there; elsewhere the last lines say how to install it."""
    try:
        program()
    except SystemExit as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with nginx() as address:
        yield address


def test_kept_connection(lab: Lab, host: str) -> None:
    """Lists, creations and errors of nginx's own go over one connection."""
    played = lab.play(
        """
        session = make()
        out["refused"] = show(session.get("/api/v1/tasks"))[0]
        session.authorization = "Bearer x"
        create = Prepared("POST", "/api/v1/tasks", name="create", expect=(201,))
        out["shown"] = [show(session.get("/api/v1/tasks?page=1"))[2], show(session.send(create, b"{}"))[0]]
        out["missing"] = show(session.get("/elsewhere"))[0]
        out["head"] = show(session.head("/api/v1/tasks"))[:2]
        """,
        host,
    )
    assert played.out["refused"] == 401 and played.out["missing"] == 404
    assert played.out["shown"] == [LISTED, 201]
    assert played.out["head"] == [200, None]
    assert played.opened == 1


@pytest.mark.parametrize("name", ["prepared", "get", "fasthttp"])
def test_benchmark_runs(host: str, name: str, tmp_path: Path) -> None:
    """What `make bench` measures answers without a failure."""
    tool = next(tool for tool in flat_out("k6") if tool.name == name)
    found = tool.measure(host, 5.0, tmp_path)
    assert found.rate > 100
    assert found.failures == 0
